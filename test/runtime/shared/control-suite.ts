/** Control of a running call, whichever runtime it runs in: deadline, progress, state. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AbortError,
  DeadlineError,
  HookRaisedError,
  ProgressStream,
  PyFloat,
  RuntimeBusyError,
  ValueError,
  type CallOptions,
  type Progress,
  type PythonRuntime,
  type WorkloadSession,
} from '../../../lib/index.js'
import { doing, withTorch, workloadRoot } from '../../support/workloads.js'
import { failure, plain } from './runtime-suite.js'

/** One C call of about a second that looks for no signal and no pending call, and keeps the GIL. */
const LONG_C_CALL = 'sum(range(50_000_000))'

/** Describes an implementation by what `start` gives. */
export function describeControl(name: string, start: () => Promise<PythonRuntime>): void {
  describe(`control of a call in ${name}`, () => {
    let runtime: PythonRuntime
    let session: WorkloadSession

    before(async () => {
      runtime = await start()
      session = await runtime.openWorkload(plain)
      await session.call('init_model', { device: 'cpu' })
    })
    after(() => runtime.close())

    const run = (statement: string, options?: CallOptions) =>
      session.call('train_window', doing(statement), options)

    describe('a deadline', () => {
      it('ends a Python loop, and the next call is answered', async () => {
        const began = performance.now()
        const error = await failure(run('while True: pass', { timeoutMs: 50 }))
        const took = performance.now() - began
        assert.ok(error instanceof DeadlineError, String(error))
        assert.equal(error.code, 'ERR_DEADLINE')
        assert.equal(error.overdue, false)
        assert.match(error.message, /train_window did not end within 50 ms/)
        assert.ok(took >= 50 && took < 2000, `${took} ms`)
        await session.call('hello')
        assert.equal(runtime.state, 'idle')
      })

      it('holds for opening a workload, too', async () => {
        const slow = { factory: 'time:sleep', config: new PyFloat(0.7) }
        const began = performance.now()
        const error = await failure(runtime.openWorkload(slow, { timeoutMs: 50 }))
        const took = performance.now() - began
        assert.ok(error instanceof DeadlineError, String(error))
        assert.match(error.message, /open_workload did not end within 50 ms/)
        assert.ok(took < 600, `${took} ms`)
        while (runtime.state === 'overdue') await delay(10)
        await session.call('hello')
      })

      it('that does not pass changes nothing', async () => {
        await run('time.sleep(0.01)', { timeoutMs: 5000 })
      })

      it('of a call that waits for its turn takes it off the queue', async () => {
        const first = run('time.sleep(0.3)')
        const error = await failure(run('1', { timeoutMs: 20 }))
        assert.ok(error instanceof DeadlineError)
        assert.equal(error.overdue, false)
        await first
      })

      it('rejects within a long C call, says so to later calls, and is over when that returns', async () => {
        const began = performance.now()
        const call = run(`${LONG_C_CALL}; time.sleep(0.01)`, { timeoutMs: 30 })
        const error = await failure(call)
        const took = performance.now() - began
        assert.ok(error instanceof DeadlineError)
        assert.equal(error.overdue, true)
        assert.ok(took < 1000, `${took} ms`)
        const isOverdue = () => runtime.state === 'overdue'
        assert.ok(isOverdue())
        assert.equal(runtime.stats().running?.method, 'train_window')

        const busy = await failure(session.call('hello'))
        assert.ok(busy instanceof RuntimeBusyError, String(busy))
        assert.equal(busy.code, 'ERR_RUNTIME_BUSY')
        assert.match(busy.message, /still inside train_window, \d+\.\d s after/)

        while (isOverdue()) await delay(20)
        await session.call('hello')
      })

      for (const timeoutMs of [-1, NaN, Infinity, 2 ** 31]) {
        it(`of ${timeoutMs} ms is refused`, async () => {
          const error = await failure(run('1', { timeoutMs }))
          assert.ok(error instanceof ValueError)
          assert.equal(error.path, 'timeoutMs')
        })
      }
    })

    describe('progress', () => {
      const tell = 'import torchbed; torchbed.progress'

      it('arrives in order, with the last one before the call ends', async () => {
        const seen: Progress[] = []
        const statement = `
import torchbed
for i in range(5):
    torchbed.progress(i + 1, 5, loss=1.0 / (i + 1), tokens=i, name="x", done=i == 4)
    time.sleep(0.03)`
        await run(statement, { onProgress: (progress) => seen.push(progress) })
        const steps = seen.map(({ step }) => step)
        assert.deepEqual(
          steps,
          [...steps].sort((a, b) => a - b),
        )
        assert.ok(steps.length >= 2, String(steps))
        assert.deepEqual(seen.at(-1), {
          step: 5,
          total: 5,
          metrics: { loss: 0.2, tokens: 4n, name: 'x', done: true },
        })
      })

      it('of a tight loop is thinned out, and its end is not lost', async () => {
        const seen: Progress[] = []
        const statement = `
import torchbed
for i in range(20000): torchbed.progress(i)`
        const began = performance.now()
        await run(statement, { onProgress: (progress) => seen.push(progress) })
        const most = (performance.now() - began) / 20 + 3
        assert.ok(seen.length <= most, `${seen.length} in ${most * 20} ms`)
        assert.deepEqual(seen.at(-1), { step: 19999, total: null, metrics: {} })
      })

      it('can be read as a stream that ends with the call, also when that fails', async () => {
        const stream = new ProgressStream()
        const call = failure(run(`${tell}(7, 9); 1 / 0`, { onProgress: stream }))
        const seen: number[] = []
        for await (const { step } of stream) seen.push(step)
        assert.deepEqual(seen, [7])
        assert.ok((await call) instanceof HookRaisedError)
      })

      it('as a stream ends when the call is refused before it begins', async () => {
        const closed = await runtime.openWorkload(plain)
        await closed.close()
        const closedRuntime = await start()
        await closedRuntime.close()
        const refused: ((options: CallOptions) => Promise<unknown>)[] = [
          (options) => run('1', { ...options, signal: AbortSignal.abort() }),
          (options) => run('1', { ...options, timeoutMs: -1 }),
          (options) => session.call('hello', { x: () => 1 } as never, options),
          (options) => closed.call('hello', null, options),
          (options) => closedRuntime.openWorkload(plain, options),
          (options) => runtime.openWorkload(plain, { ...options, timeoutMs: -1 }),
          (options) => runtime.openWorkload({ factory: 'no_such_module:x' }, options),
        ]
        for (const refuse of refused) {
          const stream = new ProgressStream()
          await failure(refuse({ onProgress: stream }))
          for await (const { step } of stream) assert.fail(`progress ${step}`)
        }
      })

      it('without a listener costs the hook nothing but the call', async () => {
        await run(`${tell}(1)`)
      })

      it('of a thread that outlives its call is dropped', async () => {
        const statement = `
import threading, torchbed
threading.Timer(0.05, lambda: torchbed.progress(99)).start()`
        const seen: Progress[] = []
        await run(statement, { onProgress: (progress) => seen.push(progress) })
        await delay(150)
        assert.deepEqual(seen, [])
      })

      const bad = [
        ['a step that is no int', '("x")', /TypeError: progress: step must be an int/],
        ['a step below zero', '(-1)', /ValueError: progress: step must be from 0/],
        ['a total that is too large', '(1, 2 ** 60)', /ValueError: progress: total/],
        ['a metric of another type', '(1, loss=[])', /ValueError: unsupported metric value/],
      ] as const
      for (const [title, args, message] of bad) {
        it(`refuses ${title}, in the hook`, async () => {
          const error = await failure(run(tell + args, { onProgress: () => undefined }))
          assert.match(error.message, message)
        })
      }
    })

    describe('an aborted window', () => {
      const abortedWindow = async (statement: string) => {
        const abort = new AbortController()
        const options = { signal: abort.signal, onProgress: () => abort.abort() }
        const error = await failure(trained.call('train_window', doing(statement), options))
        assert.ok(error instanceof AbortError, String(error))
        return error
      }
      const loop = `
import torchbed
torchbed.progress(0)
while True: time.sleep(0.001)`
      let trained: WorkloadSession

      before(async () => {
        trained = await runtime.openWorkload({
          factory: 'torch_state:create_workload',
          moduleSearchRoots: [workloadRoot],
        })
        await trained.call('init_model', { device: 'cpu' })
      })
      after(() => trained.close())

      const test = withTorch ? it : it.skip
      test('says that the state changed, and the model is usable', async () => {
        const error = await abortedWindow(`step(state)${loop}`)
        assert.equal(error.stateChanged, true)
        await trained.call('train_window', doing('step(state)'))
      })
      test('does not claim that a state stayed as it was', async () => {
        assert.equal((await abortedWindow(loop)).stateChanged, undefined)
      })
      test('says of a hook that raised whether the state had changed', async () => {
        const raised = (statement: string) =>
          failure(trained.call('train_window', doing(`${statement}\nraise ValueError('no')`)))
        const changed = await raised('step(state)')
        assert.ok(changed instanceof HookRaisedError)
        assert.equal(changed.stateChanged, true)
        const unknown = await raised('pass')
        assert.ok(unknown instanceof HookRaisedError)
        assert.equal(unknown.stateChanged, undefined)
      })
      test('does not say so of a state without tensors', async () => {
        const abort = new AbortController()
        setTimeout(() => abort.abort(), 30)
        const error = await failure(run('while True: pass', { signal: abort.signal }))
        assert.ok(error instanceof AbortError)
        assert.equal(error.stateChanged, undefined)
      })
    })

    describe('the state', () => {
      it('is idle, running, and idle again; closed at last', async () => {
        const other = await start()
        const opened = await other.openWorkload(plain)
        await opened.call('init_model', { device: 'cpu' })
        assert.equal(other.state, 'idle')
        const call = opened.call('train_window', doing('time.sleep(0.1)'))
        const queued = opened.call('hello')
        await delay(30)
        const stats = other.stats()
        assert.equal(stats.state, 'running')
        assert.equal(stats.running?.method, 'train_window')
        assert.ok(stats.running.ageMs > 0 && stats.running.ageMs < 5000)
        assert.equal(stats.queued, 1)
        assert.equal(stats.sessions, 1)
        assert.match(stats.python.version ?? '', /^3\.\d+\.\d+/)
        assert.ok(stats.memory.rss > 1e6)
        await Promise.all([call, queued])
        await other.close()
        assert.equal(other.state, 'closed')
        assert.equal(other.stats().sessions, 0)
      })
    })
  })
}
