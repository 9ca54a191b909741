/** `torchbed train` from its config to its summary. */

import { FsArtifactStore } from '../../store/index.js'
import type { TorchProject } from '../../project/torch-project.js'
import type { Experiment } from '../../training/experiment.js'
import { localTraining } from '../../training/local-training.js'
import type { TrainConfig } from './config.js'
import type { TrainReporter, TrainSummary } from './events.js'
import { idleLoopDelay } from './loop-delay.js'
import { OutputFolder } from './output-folder.js'
import { TrainRecord, type TrainProgress } from './record.js'
import { experimentOfConfig, openWorkload } from './workload.js'

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
  await using workload = await openWorkload(config, {
    python: options.python,
    signal,
    onStatus: (text) => reporter.status(text),
    onOutput: (line, end, stream) => reporter.output(line, end, stream),
    onPrepared: (prepared) => reporter.event({ event: 'prepared', ...prepared }),
  })
  const { project, runtime } = workload

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

/** The experiment that a config describes; without a budget, two peers together can lease all there is. */
async function experimentOf(config: TrainConfig, project: TorchProject): Promise<Experiment> {
  const { training } = config
  return experimentOfConfig(config, project, Math.min(1, 2 / training.peers))
}
