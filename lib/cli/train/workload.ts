/** The workload that a config names, opened: its dataset made where it is not there yet, Python started. */

import { LeasePlanner } from '../../data/index.js'
import { localDataset } from '../../data/local-dataset.js'
import { pythonInput } from '../../project/python-input.js'
import { TorchProject } from '../../project/torch-project.js'
import { EmbeddedRuntime } from '../../runtime/embedded/embedded-runtime.js'
import type { LineEnd } from '../../runtime/line-splitter.js'
import type { OutputEvents } from '../../runtime/output.js'
import { json } from '../../schema/index.js'
import type { Experiment } from '../../training/experiment.js'
import type { TrainConfig } from './config.js'
import { prepareDataset } from './prepare.js'

/** How long the process waits for Python at its end; short, so that Ctrl-C ends within two seconds. */
const EXIT_GRACE_MS = 700

/** How a workload is opened, and who is told of it. */
export interface OpenWorkloadOptions {
  /** Overrides the config's `python_executable`. */
  readonly python?: string | undefined
  readonly signal: AbortSignal
  /** What is in progress. */
  readonly onStatus: (text: string) => void
  /** A line that the workload, or the script that makes its data, printed. */
  readonly onOutput: (line: string, end?: LineEnd, stream?: keyof OutputEvents) => void
  readonly onPrepared: (prepared: {
    readonly script: string
    readonly root: string
    readonly seconds: number
  }) => void
}

/** An open workload. Disposing closes the project and Python. */
export interface OpenedWorkload extends AsyncDisposable {
  readonly runtime: EmbeddedRuntime
  readonly project: TorchProject
}

/**
 * @throws ConfigError, DatasetPrepareError, AbortError; the errors of starting Python and of importing the workload
 */
export async function openWorkload(
  config: TrainConfig,
  options: OpenWorkloadOptions,
): Promise<OpenedWorkload> {
  const { signal, onStatus, onOutput } = options
  const { workload_factory, module_search_roots, env, workload_config } = config.runtime
  const python = options.python ?? config.runtime.python_executable ?? undefined
  await prepare(config, python, options)
  const { root, dataset_id: datasetId, microshards_per_batch: microshardsPerBatch } = config.dataset
  const dataset = await localDataset({ root, datasetId, microshardsPerBatch, signal })

  onStatus(`Starting Python, importing ${workload_factory}`)
  const runtime = await EmbeddedRuntime.start({ python, env, exitGraceMs: EXIT_GRACE_MS })
  try {
    for (const stream of ['stdout', 'stderr'] as const) {
      runtime.on(stream, (line, end) => onOutput(line, end, stream))
    }
    const project = await TorchProject.open(
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
    return {
      runtime,
      project,
      async [Symbol.asyncDispose]() {
        await project.close()
        await runtime.close()
      },
    }
  } catch (error) {
    await runtime.close()
    throw error
  }
}

/**
 * The experiment that a config describes.
 *
 * @param share of all the work that one peer leases when the config gives no budget
 */
export async function experimentOfConfig(
  { training }: TrainConfig,
  project: TorchProject,
  share: number,
): Promise<Experiment> {
  let { budget_work_units } = training
  if (budget_work_units === null) {
    const { microshards } = await project.microshardPlan(await project.datasetRegistration())
    const planner = new LeasePlanner()
    const total = microshards.reduce((sum, shard) => sum + planner.cost(shard), 0)
    budget_work_units = Math.ceil(total * share)
  }
  return { ...training, budget_work_units }
}

async function prepare(
  { dataset, runtime: { env } }: TrainConfig,
  python: string | undefined,
  { signal, onStatus, onOutput, onPrepared }: OpenWorkloadOptions,
): Promise<void> {
  const { root, prepare: script } = dataset
  const began = performance.now()
  const wasRun = await prepareDataset({
    ...{ root, script, python, env, signal },
    onStart: () => onStatus(`Making the dataset with ${script ?? ''}`),
    onLine: (line) => onOutput(line),
  })
  if (!wasRun || script === null) return
  onPrepared({ script, root, seconds: (performance.now() - began) / 1000 })
}
