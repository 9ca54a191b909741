/** Whatever Ctrl-C ends in Python alone, an abort ends, whichever runtime it runs in. */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import {
  AbortError,
  DeadlineError,
  HookRaisedError,
  type CallOptions,
  type PythonRuntime,
  type WorkloadSession,
} from '../../../lib/index.js'
import { doing } from '../../support/workloads.js'
import { failure, plain } from './runtime-suite.js'
import { waiting, waits } from './waits.js'

/** How long after the wait has begun it is ended, in milliseconds. */
const SETTLED_MS = 30

/** What one end may take on a busy machine, in milliseconds. */
const MOST_MS = 1500

/** What the median of all ends may take, in milliseconds. */
const MEDIAN_MS = 50

/** Describes an implementation by what `start` gives. */
export function describeInterrupting(name: string, start: () => Promise<PythonRuntime>): void {
  describe(`an abort in ${name}`, () => {
    let runtime: PythonRuntime
    let session: WorkloadSession

    const open = async () => {
      const opened = await runtime.openWorkload(plain)
      await opened.call('init_model', { device: 'cpu' })
      return opened
    }
    before(async () => {
      runtime = await start()
      session = await open()
    })
    after(() => runtime.close())

    const run = (statement: string, options?: CallOptions) =>
      session.call('train_window', doing(statement), options)

    /** Runs the statement until it waits, and aborts it then; what it failed with, and how long after. */
    const aborted = async (statement: string, of = session) => {
      const abort = new AbortController()
      let at = Infinity
      const stop = async () => {
        await delay(SETTLED_MS)
        at = performance.now()
        abort.abort()
      }
      const options = { signal: abort.signal, onProgress: () => void stop() }
      const error = await failure(of.call('train_window', doing(waiting(statement)), options))
      return { error, took: performance.now() - at }
    }
    const assertAbort = ({ error, took }: { error: Error; took: number }) => {
      assert.ok(error instanceof AbortError, String(error))
      assert.ok(took < MOST_MS, `${took} ms`)
    }
    /** The model of before is there, so the worker has not been killed. */
    const assertAlive = () => session.call('evaluate', { model_id: 'm1', split: 'Test' })

    describe('ends a wait within 50 ms', () => {
      const times: number[] = []
      for (const [wait, statement] of Object.entries(waits)) {
        it(wait, async () => {
          const ended = await aborted(statement)
          assertAbort(ended)
          times.push(ended.took)
          await assertAlive()
        })
      }
      it('as the median of all', () => assertMedian(times))
    })

    describe('a deadline ends a wait within 50 ms', () => {
      const times: number[] = []
      for (const [wait, statement] of Object.entries(waits)) {
        it(wait, async () => {
          let begun = Infinity
          const onProgress = () => (begun = performance.now())
          const began = performance.now()
          const timeoutMs = 150
          const error = await failure(run(waiting(statement), { timeoutMs, onProgress }))
          const took = performance.now() - began - timeoutMs
          assert.ok(error instanceof DeadlineError, String(error))
          assert.ok(begun < performance.now(), 'it had begun')
          assert.ok(took < MOST_MS, `${took} ms`)
          times.push(took)
          while (runtime.state === 'overdue') await delay(5)
          await assertAlive()
        })
      }
      it('as the median of all', () => assertMedian(times))
    })

    describe('lets a workload be closed at once', () => {
      const times: number[] = []
      for (const [wait, statement] of Object.entries(waits)) {
        it(wait, async () => {
          const closing = await open()
          const call = aborted(statement, closing)
          const { took } = await call
          const began = performance.now()
          await closing.close()
          assertAbort(await call)
          times.push(took)
          // A worker ends with its own exit functions.
          assert.ok(performance.now() - began < MOST_MS)
        })
      }
    })

    describe('is not lost', () => {
      const busy =
        'end = time.perf_counter() + 0.002\n        while time.perf_counter() < end: pass'
      const loop = 'begun()\nend = time.time() + 20\nwhile time.time() < end:'
      const places: Record<string, string> = {
        'in a finalizer': `
class Slow:
    def __del__(self):
        ${busy}
${loop} Slow()`,
        'in a callback of a weak reference': `
import weakref
class Target: pass
def gone(reference):
        ${busy}
${loop}
    target = Target()
    reference = weakref.ref(target, gone)
    del target`,
        'in a callback out of C': `
import ctypes
@ctypes.CFUNCTYPE(None)
def called():
        ${busy}
${loop} called()`,
        'in a bare except': `
begun()
for _ in range(3):
    try: time.sleep(20)
    except: pass
time.sleep(20)`,
        'in a finalizer that waits': `
class Waiting:
    def __del__(self): time.sleep(5)
begun()
Waiting()
time.sleep(20)`,
        'by one who keeps it': `
begun()
try: time.sleep(20)
except BaseException as error: kept = error
time.sleep(20)`,
        'in another exception': `
begun()
try: time.sleep(20)
except BaseException: pass
try: raise ValueError
except ValueError: time.sleep(20)`,
      }
      for (const [place, statement] of Object.entries(places)) {
        it(place, async () => {
          assertAbort(await aborted(statement))
          await assertAlive()
        })
      }

      it('and comes once to a hook that cleans up', async () => {
        const { error, took } = await aborted(`
begun()
try: time.sleep(20)
finally:
    try: time.sleep(0.3)
    finally: state["cleaned"] = True`)
        assertAbort({ error, took })
        assert.ok(took >= 300, `${took} ms`)
        await run('assert state.pop("cleaned")')
      })

      it('nor said to a call that follows', async () => {
        for (let i = 0; i < 20; i++) {
          const abort = new AbortController()
          const first = run('time.sleep(0.002)', { signal: abort.signal }).catch(() => undefined)
          const second = run('time.sleep(0.01)')
          await delay(2)
          abort.abort()
          await Promise.all([first, second])
        }
      })

      it('when the hook fails of it', async () => {
        const { error } = await aborted(
          'begun()\ntry: time.sleep(20)\nexcept BaseException as e: raise ValueError from e',
        )
        assert.ok(error instanceof AbortError, String(error))
        const other = await failure(run('raise ValueError("other")'))
        assert.ok(other instanceof HookRaisedError)
      })
    })
  })

  function assertMedian(times: readonly number[]): void {
    const sorted = [...times].sort((a, b) => a - b)
    const median = sorted[Math.floor(sorted.length / 2)] ?? NaN
    assert.ok(median < MEDIAN_MS, `median ${median} ms, all ${sorted.map(Math.round).join(' ')}`)
    if (process.env.TORCHBED_SHOW_TIMES === '1') {
      console.log(
        `      ${name}: median ${median.toFixed(1)} ms, longest ${sorted.at(-1)?.toFixed(1)}`,
      )
    }
  }
}
