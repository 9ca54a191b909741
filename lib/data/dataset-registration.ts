/** Registers and plans a dataset on this machine (spec project#dataset-config). */

import type {
  DatasetRegistration,
  MicroShardPlan,
  PythonTorchDatasetConfig,
} from '../schema/index.js'
import { MicroShardPlanner } from './micro-shard-planner.js'
import type { OperationOptions } from '../core/abort.js'

/** The registration of a dataset: its manifest, its view, and its root as a `Local` upstream. */
export function registration(config: PythonTorchDatasetConfig): DatasetRegistration {
  const { dataset_id, manifest_hash, metadata } = config
  return {
    manifest: {
      dataset_id,
      source_uri: config.source_uri,
      format: config.format,
      manifest_hash,
      metadata,
    },
    view: {
      dataset_view_id: config.dataset_view_id,
      dataset_id,
      preprocessing_hash: config.preprocessing_hash,
      tokenizer_hash: config.tokenizer_hash,
      manifest_hash,
      metadata,
    },
    upstream: { Local: { root: config.root } },
  }
}

/**
 * The microshards of a dataset. See {@link MicroShardPlanner.plan}.
 *
 * @throws InvalidTargetMicroshardBytesError, ConfigError, DataSchemaError, AbortError
 */
export async function plan(
  config: PythonTorchDatasetConfig,
  options: OperationOptions = {},
): Promise<MicroShardPlan> {
  const planner = new MicroShardPlanner(config.planner)
  return planner.plan(registration(config).view, config.sizing, options)
}

/** The folder of a `Local` upstream; null for every other kind. */
export function localUpstreamRoot({ upstream }: DatasetRegistration): string | null {
  return 'Local' in upstream ? upstream.Local.root : null
}
