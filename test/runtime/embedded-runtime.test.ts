/** EmbeddedRuntime: Python in this very process. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  AbortError,
  EmbeddedRuntime,
  HookMissingError,
  HookRaisedError,
  RuntimeClosedError,
  RuntimeConflictError,
  TorchbedError,
  type WorkloadSession,
} from '../../lib/index.js'
import { doing, returning, workloadRoot } from '../support/workloads.js'
import { interpreter } from './interpreters.js'

const plain = { factory: 'plain:create_workload', moduleSearchRoots: [workloadRoot] }

async function failure(run: Promise<unknown>): Promise<TorchbedError> {
  const error: unknown = await run.then(
    () => assert.fail('nothing failed'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof TorchbedError, String(error))
  return error
}

describe('EmbeddedRuntime', () => {
  let runtime: EmbeddedRuntime
  let session: WorkloadSession

  before(async () => {
    runtime = await EmbeddedRuntime.start()
    session = await runtime.openWorkload(plain)
    await session.call('init_model', { device: 'cpu' })
  })
  after(() => runtime.close())

  describe('start', () => {
    it('runs the Python that it says it runs', async () => {
      const answer = await session.call('train_window', returning("{'at': sys.executable}"))
      assert.deepEqual(answer, { metrics: { at: runtime.python.executable } })
    })

    it('shares the interpreter between runtimes', async () => {
      await using second = await EmbeddedRuntime.start()
      const other = await second.openWorkload(plain)
      await session.call('train_window', doing('sys.shared_by_test = 5'))
      await other.call('init_model', { device: 'cpu' })
      const answer = await other.call('train_window', returning("{'seen': sys.shared_by_test}"))
      assert.deepEqual(answer, { metrics: { seen: 5n } })
    })

    it('refuses another Python than the one that runs', async function () {
      const other =
        runtime.python.versionInfo[1] === 12 ? await interpreter('3.13') : await interpreter('3.12')
      if (other === null) return this.skip()
      const error = await failure(EmbeddedRuntime.start({ python: other }))
      assert.ok(error instanceof RuntimeConflictError)
      assert.match(error.message, /already runs/)
    })

    it('refuses env that contradicts what another workload was given', async () => {
      const open = (value: string) =>
        runtime.openWorkload({ ...plain, env: { TORCHBED_TEST_CONFLICT: value } })
      await (await open('a')).close()
      await (await open('a')).close()
      const error = await failure(open('b'))
      assert.equal(error.code, 'ERR_RUNTIME_CONFLICT')
      assert.match(error.message, /TORCHBED_TEST_CONFLICT/)
    })

    it('is shared by worker threads', async () => {
      const open = returning('{"n": len(sys.modules["torchbed.host"]._host._sessions)}')
      const before = await session.call('train_window', open)
      const worker = new Worker(
        `import { EmbeddedRuntime } from ${JSON.stringify(import.meta.resolve('../../lib/index.js'))}
         import { parentPort, workerData } from 'node:worker_threads'
         const runtime = await EmbeddedRuntime.start()
         const session = await runtime.openWorkload(workerData)
         await session.call('init_model', { device: 'cpu' })
         parentPort.postMessage(await session.call('hello'))`,
        { eval: true, workerData: plain, execArgv: ['--input-type=module'] },
      )
      const [messages] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
      assert.equal((messages as [{ workload_name: string }])[0].workload_name, 'plain')
      assert.ok(await session.call('hello'))
      // What the worker had opened went with it.
      assert.deepEqual(await session.call('train_window', open), before)
    })
  })

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

    it('makes a typed error of a method that nobody knows', async () => {
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
  })

  describe('AbortSignal', () => {
    async function aborted(statement: string, afterMs: number): Promise<number> {
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

    it('ends a tight Python loop', async () => {
      assert.ok((await aborted('while True: pass', 50)) < 1000)
      assert.ok(await session.call('hello'))
    })

    it('ends a hook that swallows exceptions', async () => {
      const loop = 'while True:\n  try: time.sleep(0.001)\n  except Exception: pass'
      assert.ok((await aborted(loop, 50)) < 1000)
    })

    it('ends a coroutine that awaits', async () => {
      const run = 'asyncio.run(asyncio.sleep(0))\nwhile True: time.sleep(0.01)'
      assert.ok((await aborted(run, 50)) < 1000)
    })

    it('settles when a long C call returns', async () => {
      assert.ok((await aborted('time.sleep(0.4)', 50)) > 200)
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
      const answer = await session.call('train_window', returning("{'made': hasattr(sys, 'made')}"))
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

  describe('close', () => {
    it('refuses further calls of its sessions with a typed error, and is harmless twice', async () => {
      const closing = await EmbeddedRuntime.start()
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
