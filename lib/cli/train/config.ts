import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../errors.js'
import {
  EvalSplit,
  json,
  list,
  map,
  optional,
  record,
  text,
  u32,
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
    microshards_per_batch: withDefault(u32, () => 1),
  }),
  training: record('training', {
    windows: withDefault(u32, () => 8),
    evaluation_split: withDefault(EvalSplit, () => 'Validation' as const),
  }),
})
export type TrainConfig = Infer<typeof TrainConfig>

/**
 * Reads a config file. Its search roots and its dataset root are relative to the file; the
 * workload's own configuration is passed on as it is.
 *
 * Throws {@link ConfigError} when the file cannot be read, is not JSON, or has fields of a wrong
 * type, listing every problem at once.
 */
export async function readTrainConfig(path: string): Promise<TrainConfig> {
  let text: Buffer
  try {
    text = await readFile(path)
  } catch (cause) {
    throw new ConfigError(
      `Cannot read ${path}`,
      [{ path: '', message: (cause as Error).message }],
      {
        cause,
      },
    )
  }
  const config = TrainConfig.fromJson(text)
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
