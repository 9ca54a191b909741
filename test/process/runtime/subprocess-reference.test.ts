/** SubprocessRuntime with a third-party worker, which behaves like the reference's (spec worker-protocol). */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AbortError,
  HookRaisedError,
  RuntimeClosedError,
  WorkerExitedError,
  type SubprocessRuntimeOptions,
} from '../../../lib/index.js'
import { MetricValueError, UnknownMethodError, WorkerStartError } from '../../../lib/errors.js'
import { doing, returning, workloadRoot } from '../../support/workloads.js'
import { Folder } from '../../runtime/interpreters.js'
import { workersOf } from '../../runtime/shared/processes.js'
import { failure, plain } from '../../runtime/shared/runtime-suite.js'
import { Runtimes, unembeddable } from '../../runtime/shared/subprocess-support.js'

const reference = (version: 1 | 2 = 2): SubprocessRuntimeOptions => ({
  module: 'reference_worker',
  env: { REFERENCE_PROTOCOL: String(version) },
})

describe('SubprocessRuntime with a reference worker', () => {
  const runtimes = new Runtimes()

  for (const version of [1, 2] as const) {
    it(`speaks protocol version ${version}`, async () => {
      const session = await runtimes.open(reference(version), { rate: 0.5, layers: 2 })
      assert.equal(session.workloadName, 'plain')
      const hello = (await session.call('hello')) as Record<string, unknown>
      assert.equal(hello.protocol_version, BigInt(version))
      assert.equal('capabilities' in hello, version === 2)
      assert.deepEqual(
        await session.call('train_window', returning("{'config': repr(workload.config)}")),
        { metrics: { config: "{'rate': 0.5, 'layers': 2}" } },
      )
      const { capability } = (await session.call('capability_probe')) as Record<string, unknown>
      assert.deepEqual(capability, {
        preferred_backends: ['cpu'],
        work_units_per_second: 2,
        target_window_seconds: 3n,
      })
      assert.deepEqual(await session.call('evaluate', { model_id: 'm1', split: 'Test' }), {
        metrics: { accuracy: 0.75, split: '"Test"', steps: 1n },
      })
      const rejected = { Rejected: 'python workload does not support runtime patches' }
      assert.deepEqual(await session.call('apply_patch', {}), rejected)
      await session.close()
      assert.deepEqual(await workersOf(process.pid), [])
    })
  }

  it('reads the NaN that Python writes as a metric', async () => {
    const session = await runtimes.open(reference())
    const answer = await session.call('train_window', returning("{'loss': float('nan')}"))
    assert.deepEqual(answer, { metrics: { loss: NaN } })
  })

  it('makes a typed error of the text and the traceback that it sends', async () => {
    const session = await runtimes.open(reference())
    const raised = await failure(
      session.call('train_window', doing('raise ValueError("too fast")')),
    )
    assert.ok(raised instanceof HookRaisedError)
    assert.equal(raised.message, 'python rpc train_window failed: too fast')
    assert.equal(raised.pythonType, 'ValueError')
    assert.match(raised.pythonTraceback, /^Traceback \(most recent call last\):\n.*plain\.py/s)
    assert.match(raised.stack ?? '', /plain\.py/)
    const unknown = await failure(session.call('no_such_method'))
    assert.ok(unknown instanceof UnknownMethodError)
    assert.match(unknown.message, /unknown method 'no_such_method'/)
    const metric = await failure(session.call('train_window', returning("{'x': None}")))
    assert.ok(metric instanceof MetricValueError)
    const model = await failure(session.call('evaluate', { model_id: 'm9', split: 'Test' }))
    assert.ok(model instanceof HookRaisedError)
    assert.equal(model.pythonType, 'KeyError')
    assert.ok(await session.call('hello'))
  })

  it('says why a worker does not connect when its import fails', async () => {
    const runtime = await runtimes.start(reference())
    const error = await failure(runtime.openWorkload({ ...plain, factory: 'plain:no_such_attr' }))
    assert.ok(error instanceof WorkerStartError)
    const [first, ...rest] = error.message.split('\n')
    assert.equal(first, 'python worker exited before establishing rpc connection: exit status: 1')
    assert.match(rest.join('\n'), /AttributeError: .*no_such_attr/)
  })

  it('rejects an aborted call at once, kills the worker and says so', async () => {
    const session = await runtimes.open(reference())
    const controller = new AbortController()
    const { signal } = controller
    const running = failure(session.call('train_window', doing('while True: pass'), { signal }))
    const waiting = failure(session.call('hello'))
    await delay(50)
    controller.abort('enough')
    const error = await running
    assert.ok(error instanceof AbortError)
    assert.equal(error.cause, 'enough')
    for (const later of [await waiting, await failure(session.call('hello'))]) {
      assert.ok(later instanceof RuntimeClosedError)
      assert.match(later.message, /the worker was killed, because train_window was aborted/)
      assert.match(later.message, /open the workload again/)
    }
    assert.ok(session.closed)
  })

  it('does not touch the worker when a call that waits is aborted', async () => {
    const session = await runtimes.open(reference())
    const controller = new AbortController()
    const running = session.call('train_window', doing('time.sleep(0.2)'))
    const waiting = failure(session.call('hello', null, { signal: controller.signal }))
    controller.abort()
    assert.ok((await waiting) instanceof AbortError)
    assert.ok(await running)
  })

  it('takes no connection but that of its own child, even if others come first', async () => {
    const folder = await Folder.create()
    try {
      const intruder = await folder.write('intruder.py', INTRUDER)
      const statements = `setsid "$python" '${intruder}' "$port" || exit 1`
      const python = await unembeddable(folder, statements)
      const runtime = await runtimes.start({ ...reference(), python })
      const lines: string[] = []
      runtime.on('stdout', (line) => lines.push(line))
      const session = await runtime.openWorkload(plain)
      assert.equal(session.workloadName, 'plain')
      assert.deepEqual(lines, ['refused'])
    } finally {
      await folder.remove()
    }
  })

  it('takes the connection of a worker that a script runs without giving way to it', async () => {
    const folder = await Folder.create()
    try {
      const python = await unembeddable(folder, '"$python" "$@"; exit $?')
      const session = await runtimes.open({ ...reference(), python })
      assert.equal(session.workloadName, 'plain')
    } finally {
      await folder.remove()
    }
  })
})

const faulty = (options: SubprocessRuntimeOptions = {}): SubprocessRuntimeOptions => ({
  module: 'faulty_worker',
  ...options,
})
const starting = (how: string) => ({
  factory: `faulty:${how}`,
  moduleSearchRoots: [workloadRoot],
})

describe('SubprocessRuntime with a worker that does not come up', () => {
  const runtimes = new Runtimes()

  const rows: [string, string, string, RegExp][] = [
    [
      'exits before it connects',
      'exit_early',
      'ERR_WORKER_START',
      /^python worker exited before establishing rpc connection: exit status: 3\nIts last lines on stderr:\nno module named anything$/,
    ],
    [
      'never connects',
      'connect_never',
      'ERR_WORKER_START',
      /^timed out waiting for python worker rpc connection after 300 ms; raise startTimeoutMs/,
    ],
    [
      'speaks another version',
      'version_9',
      'ERR_WORKER_START',
      /^python worker protocol mismatch: expected 1 or 2, got 9/,
    ],
    [
      'gives its version as a text',
      'version_text',
      'ERR_PROTOCOL',
      /^decode result for python rpc hello/,
    ],
    ['gives no name', 'hello_without_name', 'ERR_PROTOCOL', /^decode result for python rpc hello/],
  ]
  for (const [title, how, code, message] of rows) {
    it(`which ${title}, is a typed error and leaves no process`, async () => {
      const runtime = await runtimes.start(faulty({ startTimeoutMs: 300 }))
      const error = await failure(runtime.openWorkload(starting(how)))
      assert.equal(error.code, code)
      assert.match(error.message, message)
      assert.deepEqual(await workersOf(process.pid), [])
    })
  }

  it('which hangs in its greeting, is ended by an abort', async () => {
    const runtime = await runtimes.start(faulty())
    const signal = AbortSignal.timeout(300)
    const error = await failure(runtime.openWorkload(starting('hang_at_hello'), { signal }))
    assert.ok(error instanceof AbortError)
    assert.deepEqual(await workersOf(process.pid), [])
  })
})

describe('SubprocessRuntime with a worker that breaks the protocol', () => {
  const runtimes = new Runtimes()
  const open = async (options: SubprocessRuntimeOptions = {}, how = 'ready') =>
    (await runtimes.start(faulty(options))).openWorkload(starting(how))

  const rows: [string, string, RegExp][] = [
    ['an empty frame', 'empty', /^read python rpc response empty: .* sent an empty response$/],
    ['no JSON', 'garbage', /^decode python rpc response garbage: .*<html>/],
    ['bytes that are no UTF-8', 'no_utf8', /^decode python rpc response no_utf8: .*not UTF-8/],
    ['no object', 'no_object', /^decode python rpc response no_object: it is not an object/],
    ['a million open brackets', 'deep', /^decode python rpc response deep: nested deeper than 129/],
    [
      'a key twice',
      'twice_a_key',
      /^decode python rpc response twice_a_key: the key "id" appears twice/,
    ],
    ['an integer of 100000 digits', 'large_integer', /an integer has 100000 digits/],
    ['another id', 'wrong_id', /^python rpc response id mismatch for wrong_id: expected 2, got 3/],
    ['a float as id', 'float_id', /id mismatch for float_id: expected 2, got 2\.0$/],
    ['no id', 'no_id', /^python rpc response id mismatch for no_id: expected 2, got nothing/],
    ['neither success nor failure', 'no_ok', /^decode python rpc response no_ok: "ok" must be/],
    ['a failure without a text', 'no_error_text', /^decode python rpc response no_error_text/],
    [
      'a frame beyond all measure',
      'large_frame',
      /^read python rpc response large_frame: .* announced 4611686018427387904 bytes, more than the limit of 67108864/,
    ],
  ]
  for (const [title, method, message] of rows) {
    it(`in that it sends ${title}, is a typed error that names the method, and ends it`, async () => {
      const session = await open()
      const error = await failure(session.call(method))
      assert.equal(error.code, 'ERR_PROTOCOL')
      assert.match(error.message, message)
      assert.ok(session.closed)
      const later = await failure(session.call('nan_metric'))
      assert.ok(later instanceof RuntimeClosedError)
      assert.equal(later.cause, error)
      await session.close()
      assert.deepEqual(await workersOf(process.pid), [])
    })
  }

  it('in that it answers twice, gives the first answer and ends it', async () => {
    const session = await open()
    assert.equal(await session.call('twice'), 'first')
    while (!session.closed) await delay(5)
    assert.match((await failure(session.call('x'))).message, /sent a response to no call/)
  })

  it('in nothing but slowness, is waited for', async () => {
    assert.equal(await (await open()).call('slowly'), 'späť')
  })

  it('in that its failure has no traceback, is a typed error all the same', async () => {
    const error = await failure((await open()).call('no_traceback'))
    assert.ok(error instanceof HookRaisedError)
    assert.equal(error.message, 'python rpc no_traceback failed: out of order')
    assert.deepEqual([error.pythonType, error.pythonTraceback], ['', ''])
  })

  const deaths: [string, string, RegExp][] = [
    ['in the middle of a frame', 'half_a_frame', /\(worker status: exit status: 7\)$/],
    ['with last words', 'exit_in_words', /exit status: 5\)\n.*\nthe disk is full$/],
    ['by a signal', 'be_killed', /\(worker status: signal: SIGKILL\)$/],
    ['only after it was disconnected', 'disconnect', /\(worker status: signal: SIGKILL\)$/],
  ]
  for (const [title, method, message] of deaths) {
    it(`in that it ends ${title}, is a typed error that says how`, async () => {
      const session = await open()
      const error = await failure(session.call(method))
      assert.ok(error instanceof WorkerExitedError)
      assert.ok(error.message.startsWith(`read python rpc response ${method} (worker status: `))
      assert.match(error.message, message)
    })
  }

  it('in that it hangs and ignores signals, is killed by close', async () => {
    const session = await open({ closeGraceMs: 200 })
    const hanging = failure(session.call('hang'))
    await delay(100)
    await session.close()
    assert.ok((await hanging) instanceof RuntimeClosedError)
    assert.deepEqual(await workersOf(process.pid), [])
  })

  it('in that it stays after shutdown, is killed by close', async () => {
    const session = await open({ closeGraceMs: 200 }, 'stay')
    await session.close()
    assert.deepEqual(await workersOf(process.pid), [])
  })
})

const INTRUDER = `import socket, sys
intruder = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
intruder.settimeout(10)
assert intruder.recv(1) == b""
print("refused", flush=True)
`
