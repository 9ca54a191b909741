import { setTimeout as sleep } from 'node:timers/promises'
import { FsArtifactStore } from '../../store/index.js'
import { LeasePlanner } from '../../data/index.js'
import { writeFileAtomic } from '../../files/atomic-write.js'
import { pythonInput } from '../../project/python-input.js'
import { TorchProject } from '../../project/torch-project.js'
import { EmbeddedRuntime } from '../../runtime/embedded/embedded-runtime.js'
import { json, type HeadDescriptor } from '../../schema/index.js'
import type { Experiment } from '../../training/experiment.js'
import { localDataset } from '../../data/local-dataset.js'
import { localTraining } from '../../training/local-training.js'
import type { Contribution } from '../../training/trainer.js'
import type { TrainConfig } from './config.js'
import { lossAndAccuracyCurve } from './curve.js'
import { numericMetric, type PeerWindow, type TrainReporter, type TrainSummary } from './events.js'
import { TrainHistory } from './history.js'
import { LoopDelay } from './loop-delay.js'
import { OutputFolder } from './output-folder.js'
import { prepareDataset } from './prepare.js'

/** How long the idle event loop is watched for comparison, in milliseconds. */
const IDLE_WATCH_MS = 1000

/** How long the process waits for Python at its end; short, so that Ctrl-C ends within two seconds. */
const EXIT_GRACE_MS = 700

/**
 * Age before which the store's garbage collection spares chunks, in milliseconds. Short, as one process
 * writes here and collects between windows; not nothing, should somebody run two on one folder.
 */
const TRAIN_CHUNK_GRACE_MS = 30_000

/** What a run needs beside its config. */
export interface TrainRunOptions {
  readonly out: string
  /** Overrides the config's `python_executable`. */
  readonly python?: string | undefined
  readonly reporter: TrainReporter
  readonly signal: AbortSignal
}

/** How far a run has come; what Ctrl-C reports. */
export interface TrainProgress {
  /** Step of the canonical head. */
  window: number
  /** The last complete artifact. */
  artifact: string | null
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
  const { root, dataset_id, microshards_per_batch } = config.dataset
  const dataset = await localDataset({ root, dataset_id, microshards_per_batch, signal })

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

  const store = new FsArtifactStore(folder.store, { chunkGraceMs: TRAIN_CHUNK_GRACE_MS })
  const delay = new LoopDelay()
  delay.reset()
  await sleep(IDLE_WATCH_MS, undefined, { signal })
  const idleLoopDelayP99Ms = delay.p99()
  const { windows } = config.training
  const peers = Array.from({ length: config.training.peers }, (_, i) => `peer-${i + 1}`)
  const parts = {
    project,
    experiment: await experimentOf(config, project),
    store,
    peers,
    peersFolder: folder.peers,
    keepLocalState: config.training.keep_local_state,
  }
  const start = (resumedFrom: string | null) =>
    reporter.event({
      event: 'start',
      workload: project.workloadName,
      device: project.runtimeDevice,
      python: runtime.python.version,
      executable: runtime.python.executable,
      experiment: parts.experiment.experiment_id,
      peers,
      windows,
      resumedFrom,
      idleLoopDelayP99Ms,
    })

  const whole = new LoopDelay()
  whole.reset()
  const history = new TrainHistory()
  let canonical: HeadDescriptor | undefined
  let done = 0
  for await (const event of localTraining(parts, windows, { signal })) {
    switch (event.event) {
      case 'resumed':
        start(event.head.head_id)
        canonical = event.head
        await history.resume(store, event.lineage)
        await keep(canonical)
        delay.reset()
        break
      case 'local_state_missing':
        reporter.event(event)
        break
      case 'window':
        history.add(event.contribution)
        reporter.event({ event: 'window', ...peerWindow(event.window, event.contribution) })
        break
      case 'promoted': {
        const { head, from } = event.promotion
        if (from === 'genesis') start(null)
        else done++
        canonical = head
        history.promote(head)
        const loopDelayP99Ms = delay.p99()
        const bytes = await keep(head)
        reporter.event({
          event: 'promoted',
          window: event.window,
          head: head.head_id,
          step: head.global_step,
          from,
          metrics: head.metrics,
          artifact: folder.artifact,
          bytes,
          loopDelayP99Ms,
        })
        delay.reset()
        break
      }
    }
  }
  if (canonical === undefined) throw new Error('a run without a canonical head')

  const summary: TrainSummary = {
    accuracy: numericMetric(canonical.metrics, 'accuracy'),
    loss: numericMetric(canonical.metrics, 'loss'),
    head: canonical.head_id,
    step: canonical.global_step,
    windows: done,
    seconds: (performance.now() - began) / 1000,
    loopDelayP99Ms: whole.p99(),
    loopDelayMaxMs: whole.max(),
    idleLoopDelayP99Ms,
    receipts: history.receipts,
    localState: history.localState,
    store: await folder.measureStore(),
    artifact: folder.artifact,
    report: folder.report,
    curve: folder.curve,
  }
  whole.stop()
  delay.stop()
  const report = { ...summary, workload: project.workloadName, history: history.points }
  await writeFileAtomic(folder.curve, lossAndAccuracyCurve(history.points))
  await writeFileAtomic(folder.report, `${JSON.stringify(report, null, 2)}\n`)
  return summary

  /** Puts the head's model beside the store, for use elsewhere. Returns its size in bytes. */
  async function keep(head: HeadDescriptor): Promise<number> {
    const artifact = await store.loadManifest(head.artifact_id)
    await store.materializeArtifactFile(artifact, folder.artifact, { signal })
    progress.window = head.global_step
    progress.artifact = folder.artifact
    return artifact.bytes_len
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

function peerWindow(window: number, contribution: Contribution): PeerWindow {
  const { metrics, seconds, data_receipt } = contribution
  const examples = data_receipt.examples_processed
  return {
    window,
    peer: contribution.peer_id,
    head: contribution.head.head_id,
    metrics,
    microshards: contribution.lease.microshards.length,
    weight: contribution.receipt.accepted_weight,
    seconds,
    examplesPerSecond: examples === 0 ? null : examples / seconds,
  }
}
