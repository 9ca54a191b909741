/**
 * A process that repeats one thing and measures itself; item.ts starts it and judges.
 *
 * Arguments: the item and how often, after the warm-up. Prints a `Measurement` as one line of JSON.
 */
import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import {
  EmbeddedRuntime,
  HookRaisedError,
  LentBuffer,
  SubprocessRuntime,
  TorchProject,
  WorkerExitedError,
  type WorkloadSession,
} from '../../../lib/index.js'
import { workloadRoot } from '../../support/workloads.js'
import { leftBehind } from '../processes.js'
import { ITEMS, LARGE_BYTES, type ItemName, type Measurement } from './items.js'
import { sizing } from './sizing.js'
import { openFiles, settledMemory, Watch } from './memory.js'

/** Calls at one time: there is a queue, and it is short. */
const CALLS_AT_ONCE = 50

/** Frames of each exception; together they hold 6.4 MB. */
const FRAMES = 100
const FRAME_BYTES = 64_000

const SMALL_BYTES = 1000

const factory = 'leaking:create_workload'

const watch = new Watch()

/** Repeats a thing so many times. */
type Repeat = (count: number) => Promise<void>

interface Prepared {
  readonly repeat: Repeat
  /** Lets go of what the repetitions share. */
  readonly close: () => Promise<void>
}

/** What is measured with, apart from what is measured. */
const runtime = await EmbeddedRuntime.start()
const spec = { factory, config: { model_bytes: SMALL_BYTES }, moduleSearchRoots: [workloadRoot] }
const session = await runtime.openWorkload(spec)
let mostModels = 0

function countModels(): void {
  mostModels = Math.max(mostModels, runtime.stats().models ?? 0)
}

const PREPARE: Record<ItemName, () => Promise<Prepared>> = {
  calls: () =>
    withModel(async (model_id, count) => {
      for (let done = 0; done < count; done += CALLS_AT_ONCE) {
        const calls = Array.from({ length: Math.min(CALLS_AT_ONCE, count - done) }, () =>
          session.call('evaluate', { model_id, split: 'Test' }),
        )
        for (const answer of await Promise.all(calls)) watch.see(answer as object)
      }
    }),
  handles: () => withProject(SMALL_BYTES),
  pressure: () => withProject(LARGE_BYTES),
  lent: () =>
    withModel(async (model_id, count) => {
      for (let i = 0; i < count; i++) {
        const lent = watch.see(LentBuffer.allocate(LARGE_BYTES))
        await session.call('train_window', { model_id, batches: [{ fill: lent }] })
        const bytes = watch.see(lent.bytes())
        assert.deepEqual([bytes.length, bytes.at(-1)], [LARGE_BYTES, 42])
        watch.see(bytes.buffer)
      }
    }),
  exceptions: () =>
    withModel(async (model_id, count) => {
      const batches = [{ fail: FRAMES, frame_bytes: FRAME_BYTES }]
      for (let i = 0; i < count; i++) {
        const failed = session.call('train_window', { model_id, batches })
        watch.see(await rejection(failed, HookRaisedError))
      }
    }),
  restarts: () =>
    Promise.resolve({
      repeat: async (count) => {
        for (let i = 0; i < count; i++) await restart(i % 2 === 1)
      },
      close: () => Promise.resolve(),
    }),
}

/** One model of this process for all repetitions. */
async function withModel(
  repeat: (model: string, count: number) => Promise<void>,
): Promise<Prepared> {
  const { model_id } = (await session.call('init_model', { device: 'cpu' })) as { model_id: string }
  const close = async () => {
    await session.call('release_model', { model_id })
  }
  return { repeat: (count) => repeat(model_id, count), close }
}

/** Makes models and drops their handles. */
async function withProject(modelBytes: number): Promise<Prepared> {
  const project = await TorchProject.open(
    {
      runtime: {
        workload_factory: factory,
        workload_config: { model_bytes: modelBytes },
        module_search_roots: [workloadRoot],
      },
    },
    { runtime: sizing(runtime) },
  )
  const repeat = async (count: number) => {
    for (let i = 0; i < count; i++) {
      watch.see(await project.initModel())
      countModels()
    }
  }
  return { repeat, close: () => project.close() }
}

async function restart(dies: boolean): Promise<void> {
  const workers = watch.see(await SubprocessRuntime.start())
  const worker: WorkloadSession = watch.see(await workers.openWorkload(spec))
  await worker.call('init_model', { device: 'cpu' })
  const batches = dies ? [{ die: 3 }] : [{}]
  const trained = worker.call('train_window', { model_id: 'm1', batches })
  if (dies) watch.see(await rejection(trained, WorkerExitedError))
  else await trained
  await workers.close()
}

async function rejection<T extends Error>(
  promise: Promise<unknown>,
  type: abstract new (...args: never[]) => T,
): Promise<T> {
  const reason: unknown = await promise.then(
    () => assert.fail('It was to be rejected'),
    (error: unknown) => error,
  )
  if (reason instanceof type) return reason
  throw reason
}

async function measure(item: ItemName, count: number): Promise<Measurement> {
  const { repeat, close } = await PREPARE[item]()
  const warmUpCount = ITEMS[item].warmUp
  const before = await settledMemory(session)
  await repeat(warmUpCount)
  const warm = await settledMemory(session)
  const files = openFiles()
  const start = performance.now()
  await repeat(count)
  const seconds = (performance.now() - start) / 1000
  const end = await settledMemory(session)
  const filesLeft = Math.max(0, openFiles() - files)
  // A project that is closed frees its models, which their handles' finalizers were to do.
  const { models, lent, queued } = runtime.stats()
  await close()
  const held = item === 'handles' || item === 'pressure' ? models : runtime.stats().models
  await session.close()
  return {
    ...{ item, count, warmUpCount, seconds, before, warm, end, mostModels },
    growthBytes: end.anonymous - warm.anonymous,
    left: {
      models: held ?? 0,
      lentBuffers: lent.buffers,
      lentBytes: lent.bytes,
      queued,
      sessions: runtime.stats().sessions,
      references: watch.alive,
      files: filesLeft,
      children: (await leftBehind(process.pid, 'TORCHBED_SOAK=no process has this')).length,
    },
  }
}

const [item, count] = process.argv.slice(2)
console.log(JSON.stringify(await measure(item as ItemName, Number(count))))
