/** What every PythonRuntime does. Each implementation runs this suite, so that one can stand in for another. */
import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  AbortError,
  HookRaisedError,
  PyFloat,
  RuntimeClosedError,
  TorchbedError,
  ValueError,
  type PyInput,
  type PythonRuntime,
  type PyValue,
  type WorkloadSession,
} from '../../../lib/index.js'
import { HookMissingError } from '../../../lib/errors.js'
import { doing, returning, workloadRoot } from '../../support/workloads.js'

export type Runtime = PythonRuntime & EventEmitter<{ stdout: [string]; stderr: [string] }>

export const plain = { factory: 'plain:create_workload', moduleSearchRoots: [workloadRoot] }

/** The typed error that a promise rejects with. */
export async function failure(run: Promise<unknown>): Promise<TorchbedError> {
  const error: unknown = await run.then(
    () => assert.fail('nothing failed'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof TorchbedError, String(error))
  return error
}

/** Aborts a Python statement, and answers how long the end took after that, in milliseconds. */
export async function aborted(
  session: WorkloadSession,
  statement: string,
  afterMs: number,
): Promise<number> {
  const reason = new Error('enough')
  const controller = new AbortController()
  let at = 0
  setTimeout(() => {
    at = performance.now()
    controller.abort(reason)
  }, afterMs)
  const { signal } = controller
  const error = await failure(session.call('train_window', doing(statement), { signal }))
  assert.ok(error instanceof AbortError)
  assert.equal(error.code, 'ABORT_ERR')
  assert.equal(error.name, 'AbortError')
  assert.equal(error.cause, reason)
  return performance.now() - at
}

/** Describes an implementation by what `start` gives. */
export function describeRuntime(name: string, start: () => Promise<Runtime>): void {
  describe(`${name}, as any PythonRuntime`, () => {
    let runtime: Runtime
    let session: WorkloadSession

    before(async () => {
      runtime = await start()
      session = await runtime.openWorkload(plain)
      await session.call('init_model', { device: 'cpu' })
    })
    after(() => runtime.close())

    describe('openWorkload', () => {
      const bad: [string, string, string, RegExp][] = [
        ['a factory without colon', 'plain', 'ERR_WORKLOAD_FACTORY', /must use module:attr form/],
        ['a factory without attr', 'plain:', 'ERR_WORKLOAD_FACTORY', /non-empty module and attr/],
        [
          'a module that is not there',
          'no_such_module:make',
          'ERR_WORKLOAD_IMPORT',
          /no_such_module/,
        ],
        ['an attr that is not there', 'plain:no_such_attr', 'ERR_WORKLOAD_IMPORT', /no_such_attr/],
        [
          'an attr that cannot be called',
          'plain:not_callable',
          'ERR_WORKLOAD_IMPORT',
          /not_callable/,
        ],
        ['a factory that raises', 'plain:create_failing', 'ERR_WORKLOAD_IMPORT', /no such dataset/],
        [
          'a factory that returns None',
          'plain:create_nothing',
          'ERR_WORKLOAD_IMPORT',
          /returned None/,
        ],
      ]
      for (const [title, factory, code, message] of bad) {
        it(`refuses ${title}`, async () => {
          const error = await failure(runtime.openWorkload({ ...plain, factory }))
          assert.equal(error.code, code)
          assert.match(error.message, message)
        })
      }

      it('names the remedy when the workload imports torch and there is none', async () => {
        const folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
        try {
          const module = 'raise ModuleNotFoundError("No module named \'torch\'", name="torch")\n'
          await writeFile(join(folder, 'wants_torch.py'), module)
          const error = await failure(
            runtime.openWorkload({ factory: 'wants_torch:make', moduleSearchRoots: [folder] }),
          )
          assert.equal(error.code, 'ERR_TORCH_MISSING')
          assert.match(error.message, /-m pip install torch/)
        } finally {
          await rm(folder, { recursive: true })
        }
      })

      it('gives the factory its config, and the environment before the import', async () => {
        const folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
        try {
          const module =
            'import os\nseen = os.environ["TORCHBED_TEST_GIVEN"]\n' +
            'class Workload:\n  def __init__(self, config): self.workload_name = seen + repr(config)\n'
          await writeFile(join(folder, 'sees_environment.py'), module)
          const opened = await runtime.openWorkload({
            factory: 'sees_environment:Workload',
            moduleSearchRoots: [folder],
            config: { hidden: 64, rate: new PyFloat(1), name: 'é😀', none: NaN },
            env: { TORCHBED_TEST_GIVEN: 'ü' },
          })
          const config = "{'hidden': 64, 'rate': 1.0, 'name': 'é😀', 'none': nan}"
          assert.equal(opened.workloadName, `ü${config}`)
          await opened.close()
        } finally {
          await rm(folder, { recursive: true })
        }
      })

      it('can be aborted in the middle of the import', async () => {
        const folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
        try {
          const module = 'import time\nprint("importing")\nwhile True: time.sleep(0.01)\n'
          await writeFile(join(folder, 'endless_import.py'), module)
          const controller = new AbortController()
          runtime.once('stdout', () => controller.abort('enough'))
          const spec = { factory: 'endless_import:make', moduleSearchRoots: [folder] }
          const error = await failure(runtime.openWorkload(spec, { signal: controller.signal }))
          assert.ok(error instanceof AbortError)
          assert.equal(error.cause, 'enough')
          assert.equal(error.message, 'open_workload was aborted')
        } finally {
          runtime.removeAllListeners()
          await rm(folder, { recursive: true })
        }
      })
    })

    describe('call', () => {
      it('answers in the order of the calls', async () => {
        const order: number[] = []
        const calls = [3, 1, 2].map(async (n) => {
          await session.call('train_window', doing(`time.sleep(${n / 1000})`))
          order.push(n)
        })
        await Promise.all(calls)
        assert.deepEqual(order, [3, 1, 2])
      })

      it('leaves the event loop free while Python computes', async () => {
        let ticks = 0
        const timer = setInterval(() => ticks++, 5)
        const loop = 'end = time.monotonic() + 0.5\nwhile time.monotonic() < end: pass'
        await session.call('train_window', doing(loop))
        clearInterval(timer)
        assert.ok(ticks > 50, `${ticks} ticks in half a second`)
      })

      const raising: [string, string, string][] = [
        ['an exception', 'raise ValueError("bad learning rate")', 'ValueError'],
        ['sys.exit()', 'sys.exit(3)', 'SystemExit'],
        ['KeyboardInterrupt', 'raise KeyboardInterrupt', 'KeyboardInterrupt'],
        ['GeneratorExit', 'raise GeneratorExit', 'GeneratorExit'],
        ['endless recursion', 'f = lambda g: g(g)\nf(f)', 'RecursionError'],
        ['running out of memory', 'bytearray(1 << 62)', 'MemoryError'],
      ]
      for (const [title, statement, type] of raising) {
        it(`makes a typed error of ${title} in a hook, and lives on`, async () => {
          const error = await failure(session.call('train_window', doing(statement)))
          assert.ok(error instanceof HookRaisedError)
          assert.equal(error.pythonType, type)
          assert.match(error.message, new RegExp(`^python rpc train_window failed: ${type}`))
          assert.match(error.pythonTraceback, /^Traceback \(most recent call last\):\n.*plain\.py/s)
          assert.match(error.stack ?? '', /plain\.py/)
          assert.ok(await session.call('hello'))
        })
      }

      it('makes a typed error of a hook that is missing', async () => {
        const model = { base_model_id: 'm1', merged_model_id: 'm1', policy: 'Ema' }
        const error = await failure(session.call('apply_single_root_ema', model))
        assert.ok(error instanceof HookMissingError)
        assert.match(error.message, /apply_single_root_ema/)
      })

      it('makes a typed error of an unknown method', async () => {
        const error = await failure(session.call('no_such_method'))
        assert.equal(error.code, 'ERR_UNKNOWN_METHOD')
        assert.match(error.message, /unknown method 'no_such_method'/)
      })

      it('makes a typed error of a model that is unknown', async () => {
        const error = await failure(session.call('evaluate', { model_id: 'm999', split: 'Test' }))
        assert.equal(error.code, 'ERR_UNKNOWN_MODEL')
      })

      const badMetrics: [string, string][] = [
        ['None', "{'x': None}"],
        ['a nested dict', "{'x': {'y': 1}}"],
        ['a list', "{'x': [1]}"],
        ['no dict at all', '[1]'],
      ]
      for (const [title, expression] of badMetrics) {
        it(`refuses metrics with ${title}`, async () => {
          const error = await failure(session.call('train_window', returning(expression)))
          assert.ok(['ERR_METRIC_VALUE', 'ERR_PROTOCOL'].includes(error.code), error.code)
        })
      }

      it('lets NaN and infinite metrics arrive as such', async () => {
        const metrics = "{'nan': float('nan'), 'inf': float('inf'), 'int': 1, 'float': 1.0}"
        assert.deepEqual(await session.call('train_window', returning(metrics)), {
          metrics: { nan: NaN, inf: Infinity, int: 1n, float: 1 },
        })
      })

      it('forgets a model that is released, and ignores one that is unknown', async () => {
        const { model_id } = (await session.call('init_model', { device: 'cpu' })) as {
          model_id: string
        }
        for (const id of [model_id, model_id, 'm999', 'no id', '\ud800']) session.releaseModel(id)
        const error = await failure(session.call('evaluate', { model_id, split: 'Test' }))
        assert.equal(error.code, 'ERR_UNKNOWN_MODEL')
      })
    })

    describe('AbortSignal', () => {
      it('ends a tight Python loop', async () => {
        assert.ok((await aborted(session, 'while True: pass', 50)) < 1000)
        assert.ok(await session.call('hello'))
      })

      it('ends a hook that swallows exceptions', async () => {
        const loop = 'while True:\n  try: time.sleep(0.001)\n  except Exception: pass'
        assert.ok((await aborted(session, loop, 50)) < 1000)
      })

      it('ends a coroutine that awaits', async () => {
        const run = 'asyncio.run(asyncio.sleep(0))\nwhile True: time.sleep(0.01)'
        assert.ok((await aborted(session, run, 50)) < 1000)
      })

      it('takes a queued call out of the queue at once', async () => {
        const running = session.call('train_window', doing('time.sleep(0.3)'))
        const controller = new AbortController()
        const queued = session.call('train_window', doing('raise SystemError'), {
          signal: controller.signal,
        })
        const began = performance.now()
        controller.abort()
        assert.ok((await failure(queued)) instanceof AbortError)
        assert.ok(performance.now() - began < 200)
        await running
      })

      it('that is aborted already keeps the call from being made', async () => {
        const signal = AbortSignal.abort()
        const error = await failure(session.call('train_window', doing('sys.made = 1'), { signal }))
        assert.ok(error instanceof AbortError)
        const answer = await session.call(
          'train_window',
          returning("{'made': hasattr(sys, 'made')}"),
        )
        assert.deepEqual(answer, { metrics: { made: false } })
      })

      it('of a call that is over does not touch the next one', async () => {
        for (let i = 0; i < 200; i++) {
          const controller = new AbortController()
          const first = session.call('hello', null, { signal: controller.signal })
          const second = session.call('train_window', doing('sum(range(2000))'))
          setImmediate(() => controller.abort())
          await first.catch((error: unknown) => assert.ok(error instanceof AbortError))
          await second
        }
      })
    })

    describe('output', () => {
      it('arrives a line at a time, before the answer of the call that printed it', async () => {
        const lines: string[] = []
        runtime.on('stdout', (line) => lines.push(`out ${line}`))
        runtime.on('stderr', (line) => lines.push(`err ${line}`))
        const statement = "print('a\\nb')\nprint('c', file=sys.stderr)\nprint('é😀')"
        await session.call('train_window', doing(statement))
        runtime.removeAllListeners()
        assert.deepEqual(lines.sort(), ['err c', 'out a', 'out b', 'out é😀'])
      })
    })

    describe('metrics', () => {
      const evaluate = (expression: string) => session.call('train_window', returning(expression))

      it('keep integers of 64 bits, and refuse others with the range', async () => {
        const ends = await evaluate("{'most': 2**63 - 1, 'least': -2**63}")
        assert.deepEqual(ends, { metrics: { most: 2n ** 63n - 1n, least: -(2n ** 63n) } })
        for (const beyond of ['2**63', '-2**63 - 1', '2**64 - 1', '10**400', '10**10_000']) {
          const error = await failure(evaluate(`{'tokens': ${beyond}}`))
          assert.equal(error.code, 'ERR_METRIC_VALUE')
          assert.match(error.message, /'tokens' of train_window is beyond 64 bits/)
          assert.match(error.message, /from -2\*\*63 to 2\*\*63 - 1/)
        }
      })
    })

    describe('values', () => {
      let probing: WorkloadSession
      before(async () => {
        probing = await runtime.openWorkload({ ...plain, factory: 'value_probe:create_workload' })
      })
      after(() => probing.close())
      const probe = (expression: string, value: unknown = null) =>
        probing.call('probe', { expression, value: value as PyInput })

      it('that JSON can carry come back as what they became in Python', async () => {
        await fc.assert(
          fc.asyncProperty(anyValue, async (value) => {
            assert.deepEqual(await probe('value', value), received(value))
          }),
          { numRuns: 200 },
        )
      })

      const rows: [string, unknown, string][] = [
        ['a whole number is an int', 3, '3'],
        ['a whole number beyond the safe integers is a float', 2 ** 53, '9007199254740992.0'],
        ['a large float stays a float', 1e300, '1e+300'],
        ['minus zero is a float', -0, '-0.0'],
        ['infinities and NaN are floats', [Infinity, -Infinity, NaN], '[inf, -inf, nan]'],
        ['a PyFloat is a float although it is whole', new PyFloat(1), '1.0'],
        ['a bigint beyond 64 bits is an int', -(2n ** 130n), `-${2n ** 130n}`],
        ['a lone surrogate stays what it is', '\ud800x', "'\\ud800x'"],
        [
          'undefined is left out of objects and None in arrays',
          { a: undefined, b: [undefined] },
          "{'b': [None]}",
        ],
        ['a key named __proto__ is a key', JSON.parse('{"__proto__": 1}'), "{'__proto__': 1}"],
        [
          'a Map with text keys is a dict',
          new Map([
            ['b', 1],
            ['a', 2],
          ]),
          "{'b': 1, 'a': 2}",
        ],
        [
          'a Date is the timestamp text of the formats',
          new Date(1767323045000),
          "'2026-01-02T03:04:05Z'",
        ],
      ]
      for (const [title, value, expected] of rows) {
        it(title, async () => assert.equal(await probe('repr(value)', value), expected))
      }

      const circle: Record<string, unknown> = {}
      circle.inner = [circle]
      const refused: [string, unknown, RegExp, RegExp][] = [
        [
          'a function',
          { a: [() => 1] },
          /: a function cannot be passed to Python at value\.a\[0\]$/,
          /^value\.a\[0\]$/,
        ],
        ['a symbol', [Symbol('x')], /: a symbol cannot be passed to Python/, /^value\[0\]$/],
        [
          'a class instance',
          { 'odd key': new URL('http://a') },
          /an instance of URL cannot be passed/,
          /^value\["odd key"\]$/,
        ],
        ['an invalid Date', [new Date(NaN)], /an invalid Date cannot be passed/, /^value\[0\]$/],
        ['an object that contains itself', circle, /contains itself/, /^value\.inner\[0\]/],
      ]
      for (const [title, value, message, path] of refused) {
        it(`${title} is refused with its place`, async () => {
          const error = await failure(probe('1', value))
          assert.ok(error instanceof ValueError)
          assert.match(error.message, /^python rpc probe failed: /)
          assert.match(error.message, message)
          assert.match(error.path, path)
        })
      }

      it('nested up to 128 levels pass, deeper ones are refused on either way', async () => {
        const nested = (levels: number) => {
          let value: unknown = 1
          for (let i = 0; i < levels; i++) value = [value]
          return value
        }
        const nest = '__import__("functools").reduce(lambda inner, _: [inner], range(%), 1)'
        assert.equal(await probe('1', nested(127)), 1n)
        assert.deepEqual(await probe(nest.replace('%', '128')), received(nested(128)))
        assert.match((await failure(probe('1', nested(128)))).message, /deeper than 128 levels/)
        const answer = await failure(probe(nest.replace('%', '129')))
        assert.match(answer.message, /deeper than 128 levels/)
      })

      it('what a getter throws is the cause of the error', async () => {
        const cause = new Error('from the getter')
        const value = {
          get a(): number {
            throw cause
          },
        }
        const error = await failure(probe('1', value))
        assert.equal(error.code, 'ERR_VALUE')
        assert.equal(error.cause, cause)
      })

      it('a Python object that is none is refused with its place', async () => {
        const error = await failure(probe('{"a": [{1}]}'))
        assert.ok(error instanceof ValueError)
        assert.match(error.message, /a set cannot be passed to JavaScript/)
        assert.equal(error.path, 'a[0]')
      })
    })

    describe('close', () => {
      it('refuses further calls of its sessions with a typed error, and is idempotent', async () => {
        const closing = await start()
        const closed = await closing.openWorkload(plain)
        await closing.close()
        await closing.close()
        await closed.close()
        assert.ok((await failure(closed.call('hello'))) instanceof RuntimeClosedError)
        assert.ok((await failure(closing.openWorkload(plain))) instanceof RuntimeClosedError)
        closed.releaseModel('m1')
        assert.ok(await session.call('hello'))
      })
    })
  })
}

const anyValue = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, NaN, Infinity, -Infinity, -0),
    fc.integer(),
    fc.double(),
    fc.bigInt(),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\ud800', 'x\udfff', '"\\', '\u2028\0'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: 'binary' }), tie('value'), { maxKeys: 4 }),
  ),
})).value

/** What a value is after it was in Python: whole numbers have become ints. */
function received(value: unknown): PyValue {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
  }
  if (Array.isArray(value)) return value.map(received)
  if (typeof value !== 'object' || value === null) return value as PyValue
  // Defined, not assigned: a key may be __proto__.
  const object = {}
  for (const [key, item] of Object.entries(value)) {
    const field = { value: received(item), enumerable: true, writable: true, configurable: true }
    Object.defineProperty(object, key, field)
  }
  return object
}
