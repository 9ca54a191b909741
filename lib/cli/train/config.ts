import { readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ConfigError } from '../../errors.js'
import {
  bool,
  Codec,
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

/** The config that is read when none is named. */
export const CONFIG_NAME = 'torchbed.json'

/** Most peers that one process trains, each with its own model. */
export const MAX_PEERS = 64

const peerCount = new Codec<number>({
  name: 'number of peers',
  read: (input, issues) =>
    typeof input === 'bigint' && input >= 1n && input <= MAX_PEERS
      ? Number(input)
      : issues.misfit(`an integer from 1 to ${MAX_PEERS}`, input),
  encode: (count) => u32.encode(count),
})

/** The file that `torchbed train` reads. docs/guide/training.md describes every field. */
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
    prepare: optional(text),
    dataset_id: withDefault(DatasetId, () => 'dataset'),
    microshards_per_batch: withDefault(u32, () => 1),
  }),
  training: record('training', {
    peers: withDefault(peerCount, () => 1),
    windows: withDefault(u32, () => 8),
    evaluation_split: withDefault(EvalSplit, () => 'Validation' as const),
    budget_work_units: optional(u64),
    merge_policy: withDefault(MergePolicy, () => 'QualityWeightedEma' as const),
    canonical_reconcile: withDefault(TrainerCanonicalReconcileStrategy, () => 'Replace' as const),
    keep_local_state: withDefault(bool, () => true),
    model_schema_hash: optional(ContentId),
    network_id: withDefault(NetworkId, () => 'local'),
    study_id: withDefault(StudyId, () => 'study'),
    experiment_id: withDefault(ExperimentId, () => 'experiment'),
    revision_id: withDefault(RevisionId, () => 'revision-1'),
  }),
})
export type TrainConfig = Infer<typeof TrainConfig>

/**
 * Reads a config file, or `torchbed.json` in a folder. Its search roots, its dataset root and its prepare script
 * are relative to the file; the workload's own configuration is passed on as it is.
 *
 * Throws {@link ConfigError} when the file cannot be read, is not JSON, or has fields that are unknown or of a
 * wrong type, listing every problem at once.
 */
export async function readTrainConfig(path: string): Promise<TrainConfig> {
  const { file, content } = await readConfigFile(path)
  const config = parseTrainConfig(file, content)
  const here = dirname(file)
  const { prepare } = config.dataset
  return {
    ...config,
    runtime: {
      ...config.runtime,
      module_search_roots: config.runtime.module_search_roots.map((root) => resolve(here, root)),
    },
    dataset: {
      ...config.dataset,
      root: resolve(here, config.dataset.root),
      prepare: prepare === null ? null : resolve(here, prepare),
    },
  }
}

async function readConfigFile(path: string): Promise<{ file: string; content: Buffer }> {
  let file = path
  try {
    if ((await stat(path)).isDirectory()) file = join(path, CONFIG_NAME)
    return { file, content: await readFile(file) }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const problem =
      code === 'ENOENT'
        ? 'no such file; "torchbed init" writes one, or name another: torchbed train <config.json>'
        : message
    const what = `Cannot read ${JSON.stringify(file)}`
    throw new ConfigError(what, [{ path: '', message: problem }], { cause })
  }
}

function parseTrainConfig(file: string, content: Buffer): TrainConfig {
  const what = `Cannot use ${JSON.stringify(file)}`
  try {
    return TrainConfig.fromJson(content, { unknownFields: 'refuse' })
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    const issues = cause.issues.map(({ path, message }) => ({
      path,
      message: cause.cause instanceof SyntaxError ? withLine(message, content) : message,
    }))
    throw new ConfigError(what, issues, { cause })
  }
}

/** The position in a message about JSON as a line and a column, which editors show. */
function withLine(message: string, content: Buffer): string {
  return message.replace(/position (\d+)/, (_, position: string) => {
    const before = content.toString().slice(0, Number(position)).split('\n')
    return `line ${before.length}, column ${(before.at(-1) ?? '').length + 1}`
  })
}
