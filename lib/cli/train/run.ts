/** `torchbed train` from its config to its summary: the dataset, Python, the loop. */

import { setTimeout as sleep } from 'node:timers/promises'
import { FsArtifactStore } from '../../store/index.js'
import { LeasePlanner } from '../../data/index.js'
import { pythonInput } from '../../project/python-input.js'
import { TorchProject } from '../../project/torch-project.js'
import { EmbeddedRuntime } from '../../runtime/embedded/embedded-runtime.js'
import { json } from '../../schema/index.js'
import type { Experiment } from '../../training/experiment.js'
import { localDataset } from '../../data/local-dataset.js'
import { localTraining } from '../../training/local-training.js'
import type { TrainConfig } from './config.js'
import type { TrainReporter, TrainSummary } from './events.js'
import { LoopDelay } from './loop-delay.js'
import { OutputFolder } from './output-folder.js'
import { prepareDataset } from './prepare.js'
import { TrainRecord, type TrainProgress } from './record.js'

/** How long the idle event loop is watched for comparison, in milliseconds. */
const IDLE_WATCH_MS = 1000

/** How long the process waits for Python at its end; short, so that Ctrl-C ends within two seconds. */
const EXIT_GRACE_MS = 700

/** What a run needs beside its config. */
export interface TrainRunOptions {
  readonly out: string
  /** Overrides the config's `python_executable`. */
  readonly python?: string | undefined
  readonly reporter: TrainReporter
  readonly signal: AbortSignal
}

/**
 * Trains with local peers over one store in `<out>/store`, and keeps the canonical head's model in
 * `<out>/model.safetensors`. Goes on from the canonical head that the store has. Rejects with
 * {@link AbortError} when `signal` fires; `progress` then says what is kept.
 */
export async function runTraining(
  config: TrainConfig,
  options: TrainRunOptions,
  progress: TrainProgress,
): Promise<TrainSummary> {
  const { reporter, signal } = options
  const began = performance.now()
  const folder = await OutputFolder.open(options.out)
  const { workload_factory, module_search_roots, env, workload_config } = config.runtime
  const python = options.python ?? config.runtime.python_executable ?? undefined
  await prepare(config.dataset, { python, env, reporter, signal })
  const { root, dataset_id: datasetId, microshards_per_batch: microshardsPerBatch } = config.dataset
  const dataset = await localDataset({ root, datasetId, microshardsPerBatch, signal })

  reporter.status(`Starting Python, importing ${workload_factory}`)
  await using runtime = await EmbeddedRuntime.start({ python, env, exitGraceMs: EXIT_GRACE_MS })
  for (const stream of ['stdout', 'stderr'] as const) {
    runtime.on(stream, (line, end) => reporter.output(line, end, stream))
  }
  await using project = await TorchProject.open(
    {
      runtime: {
        workload_factory,
        module_search_roots,
        env,
        workload_config: pythonInput(json, workload_config),
      },
      dataset,
      model_schema_hash: config.training.model_schema_hash ?? `schema of ${workload_factory}`,
    },
    { runtime, signal },
  )

  const store = new FsArtifactStore(folder.store)
  const idleLoopDelayP99Ms = await idleLoopDelay(signal)
  const { windows } = config.training
  const peers = Array.from({ length: config.training.peers }, (_, i) => `peer-${i + 1}`)
  const experiment = await experimentOf(config, project)
  const started = {
    workload: project.workloadName,
    device: project.runtimeDevice,
    python: runtime.python.version,
    executable: runtime.python.executable,
    experiment: experiment.experiment_id,
    peers,
    windows,
    idleLoopDelayP99Ms,
  }
  const record = new TrainRecord({ folder, store, started, began, progress, reporter, signal })
  const { keep_local_state: keepLocalState } = config.training
  const parts = { project, experiment, store, peers, peersFolder: folder.peers, keepLocalState }
  for await (const event of localTraining(parts, windows, { signal })) await record.add(event)
  return await record.finish()
}

/** The delay of the event loop while nothing happens, 99th percentile, in milliseconds. */
async function idleLoopDelay(signal: AbortSignal): Promise<number> {
  const delay = new LoopDelay()
  delay.reset()
  try {
    await sleep(IDLE_WATCH_MS, undefined, { signal })
    return delay.p99()
  } finally {
    delay.stop()
  }
}

/** Makes the dataset where it is not there yet and the config says how. */
async function prepare(
  { root, prepare: script }: TrainConfig['dataset'],
  options: Pick<TrainRunOptions, 'reporter' | 'signal'> & {
    readonly python: string | undefined
    readonly env: Readonly<Record<string, string>>
  },
): Promise<void> {
  const { reporter } = options
  const began = performance.now()
  const wasRun = await prepareDataset({
    ...options,
    root,
    script,
    onStart: () => reporter.status(`Making the dataset with ${script ?? ''}`),
    onLine: (line) => reporter.output(line),
  })
  if (!wasRun || script === null) return
  const seconds = (performance.now() - began) / 1000
  reporter.event({ event: 'prepared', script, root, seconds })
}

/** The experiment that a config describes; without a budget, two peers together can lease all there is. */
async function experimentOf(config: TrainConfig, project: TorchProject): Promise<Experiment> {
  const { training } = config
  let budget_work_units = training.budget_work_units
  if (budget_work_units === null) {
    const { microshards } = await project.microshardPlan(await project.datasetRegistration())
    const planner = new LeasePlanner()
    const total = microshards.reduce((sum, shard) => sum + planner.cost(shard), 0)
    budget_work_units = Math.ceil(total * Math.min(1, 2 / training.peers))
  }
  return { ...training, budget_work_units }
}
