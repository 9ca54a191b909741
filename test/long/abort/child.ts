/**
 * A process that trains digits and stops its windows at random moments; run.ts starts it.
 *
 * Arguments: the cell, how many windows, and the folder of the digits data. Prints `Latencies` as one line of JSON.
 */
import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { AbortError, DeadlineError, EmbeddedRuntime, type PyInput } from '../../../lib/index.js'
import { example } from '../../support/cli.js'
import { workloadRoot } from '../../support/workloads.js'
import { shardsOf } from './data.js'
import { percentile, type CellName, type Latencies } from './cells.js'

/** The moment lies between these, in milliseconds from the call on: a few steps to a few epochs. */
const EARLIEST_MS = 5
const LATEST_MS = 80

/** After so many stopped windows there is one that is let be. */
const WHOLE_WINDOW_EVERY = 20

interface Stopped {
  readonly latencyMs: number
  readonly wasTraining: boolean
  /** How much later than asked a timer fired beside the training. */
  readonly timerLateMs: number
  readonly error: unknown
}

const [cellName, windowsText, data = ''] = process.argv.slice(2)
const cell = cellName as CellName
const windows = Number(windowsText)
const runtime = await EmbeddedRuntime.start()
const session = await runtime.openWorkload({
  factory: 'endless_digits:create_workload',
  config: { train_root: `${data}/train`, test_root: `${data}/test`, threads: 1 },
  moduleSearchRoots: [workloadRoot, example('digits')],
})
const created = (await session.call('init_model', { device: 'python-torch-cpu' })) as {
  model_id: string
}
const { model_id } = created
const shard_paths = await shardsOf(data)

function window(endless: boolean): PyInput {
  return { model_id, batches: [{ kind: 'cached_microshard_group', shard_paths, endless }] }
}

/** Waits, and answers how much longer it took. */
async function lateness(ms: number): Promise<number> {
  const start = performance.now()
  await delay(ms)
  return performance.now() - start - ms
}

/** Whether the very window is inside its hook now. */
const isTraining = () => runtime.stats().running?.method === 'train_window'

async function abortedBySignal(afterMs: number): Promise<Stopped> {
  const controller = new AbortController()
  const options = { signal: controller.signal }
  const call = session.call('train_window', window(true), options)
  const ended = call.catch((error: unknown) => ({ error, at: performance.now() }))
  const timerLateMs = await lateness(afterMs)
  const wasTraining = isTraining()
  const start = performance.now()
  controller.abort()
  const { error, at } = (await ended) as { error: unknown; at: number }
  return { latencyMs: at - start, wasTraining, timerLateMs, error }
}

async function stoppedByDeadline(timeoutMs: number): Promise<Stopped> {
  const start = performance.now()
  const call = session.call('train_window', window(true), { timeoutMs })
  const ended = call.catch((error: unknown) => ({ error, at: performance.now() }))
  const timerLateMs = await lateness(Math.floor(timeoutMs / 2))
  const wasTraining = isTraining()
  const { error, at } = (await ended) as { error: unknown; at: number }
  // On a busy machine it may be overdue, and then no other call is taken.
  while (runtime.state === 'overdue') await delay(1)
  return { latencyMs: at - start - timeoutMs, wasTraining, timerLateMs, error }
}

async function measure(): Promise<Latencies> {
  // Imports what torch leaves for later, and reads the test split.
  await session.call('train_window', window(false))
  await session.call('evaluate', { model_id, split: 'Test' })
  const stop = cell === 'signal' ? abortedBySignal : stoppedByDeadline
  const stopped: Stopped[] = []
  for (let attempts = 0; stopped.length < windows && attempts < 2 * windows; attempts++) {
    const afterMs = EARLIEST_MS + Math.random() * (LATEST_MS - EARLIEST_MS)
    const one = await stop(cell === 'timeout' ? Math.round(afterMs) : afterMs)
    assert.ok(one.error instanceof (cell === 'timeout' ? DeadlineError : AbortError))
    // On a busy machine it may not have begun; that is no window then.
    if (!one.wasTraining) continue
    stopped.push(one)
    const isTimeForOne = stopped.length % WHOLE_WINDOW_EVERY === 0
    if (isTimeForOne) await session.call('train_window', window(false))
  }
  await session.call('train_window', window(false))
  const evaluation = await session.call('evaluate', { model_id, split: 'Test' })
  const { metrics } = evaluation as { metrics: { accuracy: number; loss: number } }
  const latencies = stopped.map(({ latencyMs }) => latencyMs)
  return {
    cell,
    windows,
    missed: windows - stopped.length,
    changed: stopped.filter(({ error }) => (error as AbortError).stateChanged === true).length,
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    max: Math.max(...latencies),
    timerLateP99: percentile(
      stopped.map(({ timerLateMs }) => timerLateMs),
      0.99,
    ),
    accuracy: metrics.accuracy,
    loss: metrics.loss,
  }
}

console.log(JSON.stringify(await measure()))
