import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../errors.js'
import {
  ContentId,
  DatasetId,
  EvalSplit,
  ExperimentId,
  json,
  list,
  map,
  MergePolicy,
  NetworkId,
  optional,
  record,
  RevisionId,
  StudyId,
  text,
  TrainerCanonicalReconcileStrategy,
  u32,
  u64,
  withDefault,
  type Infer,
} from '../../schema/index.js'

/** The file that `torchbed train` reads. docs/training.md describes every field. */
export const TrainConfig = record('train config', {
  runtime: record('runtime', {
    python_executable: optional(text),
    module_search_roots: withDefault(list(text), () => []),
    workload_factory: text,
    workload_config: withDefault(json, () => null),
    env: withDefault(map(text), () => ({})),
  }),
  dataset: record('dataset', {
    root: text,
    dataset_id: withDefault(DatasetId, () => 'dataset'),
    microshards_per_batch: withDefault(u32, () => 1),
  }),
  training: record('training', {
    peers: withDefault(u32, () => 1),
    windows: withDefault(u32, () => 8),
    evaluation_split: withDefault(EvalSplit, () => 'Validation' as const),
    budget_work_units: optional(u64),
    merge_policy: withDefault(MergePolicy, () => 'QualityWeightedEma' as const),
    canonical_reconcile: withDefault(TrainerCanonicalReconcileStrategy, () => 'Replace' as const),
    model_schema_hash: optional(ContentId),
    network_id: withDefault(NetworkId, () => 'local'),
    study_id: withDefault(StudyId, () => 'study'),
    experiment_id: withDefault(ExperimentId, () => 'experiment'),
    revision_id: withDefault(RevisionId, () => 'revision-1'),
  }),
})
export type TrainConfig = Infer<typeof TrainConfig>

/** Most peers that one process trains; each has a model of its own. */
export const MAX_PEERS = 64

/**
 * Reads a config file. Its search roots and its dataset root are relative to the file; the
 * workload's own configuration is passed on as it is.
 *
 * Throws {@link ConfigError} when the file cannot be read, is not JSON, or has fields of a wrong
 * type, listing every problem at once.
 */
export async function readTrainConfig(path: string): Promise<TrainConfig> {
  let content: Buffer
  try {
    content = await readFile(path)
  } catch (cause) {
    throw new ConfigError(
      `Cannot read ${path}`,
      [{ path: '', message: (cause as Error).message }],
      {
        cause,
      },
    )
  }
  const config = TrainConfig.fromJson(content)
  const { peers } = config.training
  if (peers < 1 || peers > MAX_PEERS) {
    const message = `expected 1 to ${MAX_PEERS}, got ${peers}`
    throw new ConfigError('Cannot read train config', [{ path: 'training.peers', message }])
  }
  const here = dirname(path)
  return {
    ...config,
    runtime: {
      ...config.runtime,
      module_search_roots: config.runtime.module_search_roots.map((root) => resolve(here, root)),
    },
    dataset: { ...config.dataset, root: resolve(here, config.dataset.root) },
  }
}
