import { setTimeout as sleep } from 'node:timers/promises'
import { pythonInput } from '../../project/python-input.js'
import { TorchProject } from '../../project/torch-project.js'
import { EmbeddedRuntime } from '../../runtime/embedded-runtime.js'
import { json, type Metrics } from '../../schema/index.js'
import type { TrainConfig } from './config.js'
import { lossAndAccuracyCurve, type CurvePoint } from './curve.js'
import { numericMetric, type TrainReporter, type TrainSummary } from './events.js'
import { LoopDelay } from './loop-delay.js'
import { OutputFolder } from './output-folder.js'
import { shardBatches } from './shards.js'

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

/** How far a run has come; what Ctrl-C reports. */
export interface TrainProgress {
  window: number
  /** The last complete artifact. */
  artifact: string | null
}

/**
 * Trains window after window on the dataset's shards, evaluates after each and keeps the model of the
 * last evaluated window in `<out>/model.safetensors`. Rejects with {@link AbortError} when `signal`
 * fires; `progress` then says what is kept.
 */
export async function runTraining(
  config: TrainConfig,
  options: TrainRunOptions,
  progress: TrainProgress,
): Promise<TrainSummary> {
  const { reporter, signal } = options
  const began = performance.now()
  const folder = await OutputFolder.open(options.out)
  const batches = await shardBatches(config.dataset.root, config.dataset.microshards_per_batch)
  const { windows, evaluation_split: split } = config.training

  await using runtime = await EmbeddedRuntime.start({
    python: options.python ?? config.runtime.python_executable ?? undefined,
    env: config.runtime.env,
    exitGraceMs: EXIT_GRACE_MS,
  })
  const { workload_factory, module_search_roots, env, workload_config } = config.runtime
  await using project = await TorchProject.open(
    {
      workload_factory,
      module_search_roots,
      env,
      workload_config: pythonInput(json, workload_config),
    },
    { runtime, signal },
  )

  const delay = new LoopDelay()
  delay.reset()
  await sleep(IDLE_WATCH_MS, undefined, { signal })
  const idleLoopDelayP99Ms = delay.p99()
  reporter.event({
    event: 'start',
    workload: project.workloadName,
    device: project.runtimeDevice,
    python: runtime.python.version,
    executable: runtime.python.executable,
    windows,
    batches: batches.length,
    idleLoopDelayP99Ms,
  })

  await using model = await project.initModel(project.runtimeDevice, { signal })
  const whole = new LoopDelay()
  whole.reset()
  const points: CurvePoint[] = []
  let evaluation: Metrics = {}
  for (let window = 1; window <= windows; window++) {
    delay.reset()
    const start = performance.now()
    const metrics = await project.trainWindow(model, batches, { signal })
    const seconds = (performance.now() - start) / 1000
    const examples = numericMetric(metrics, 'examples_processed')
    reporter.event({
      event: 'window',
      window,
      metrics,
      seconds,
      examplesPerSecond: examples === null ? null : examples / seconds,
      loopDelayP99Ms: delay.p99(),
    })

    evaluation = await project.evaluate(model, split, { signal })
    reporter.event({ event: 'evaluation', window, split, metrics: evaluation })
    points.push({
      window,
      trainLoss: numericMetric(metrics, 'loss'),
      evaluationLoss: numericMetric(evaluation, 'loss'),
      accuracy: numericMetric(evaluation, 'accuracy'),
    })

    const bytes = await folder.replace(folder.artifact, (path) =>
      project.materializeModelArtifactFile(model, path, { signal }),
    )
    progress.window = window
    progress.artifact = folder.artifact
    reporter.event({ event: 'artifact', window, path: folder.artifact, bytes })
  }

  const summary: TrainSummary = {
    accuracy: numericMetric(evaluation, 'accuracy'),
    loss: numericMetric(evaluation, 'loss'),
    windows,
    seconds: (performance.now() - began) / 1000,
    loopDelayP99Ms: whole.p99(),
    loopDelayMaxMs: whole.max(),
    idleLoopDelayP99Ms,
    artifact: folder.artifact,
    report: folder.report,
    curve: folder.curve,
  }
  whole.stop()
  delay.stop()
  await folder.replaceText(folder.curve, lossAndAccuracyCurve(points))
  await folder.replaceText(
    folder.report,
    `${JSON.stringify({ ...summary, workload: project.workloadName, history: points }, null, 2)}\n`,
  )
  return summary
}
