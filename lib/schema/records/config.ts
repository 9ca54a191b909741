/** The bridge's own configuration records (spec project#runtime-config to project#sanity-report). They give shapes; `validate()` is elsewhere. */

import type { Infer } from '../codec.js'
import { list, map, optional, record, withDefault } from '../containers.js'
import { ContentId, DatasetId, DatasetViewId } from '../ids.js'
import { bool, text, u64 } from '../primitives.js'
import { json } from '../values.js'
import { kinds } from '../variants.js'
import { DatasetSizing, Metadata, MicroShardPlannerConfig } from './dataset.js'
import { TrainingProtocol } from './protocol.js'

const none = (): readonly string[] => []
const noEntries = (): Readonly<Record<string, string>> => ({})

/** Which Python runs which workload. `workload_factory` has the form `module:attr`. */
export const PythonTorchRuntimeConfig = record('PythonTorchRuntimeConfig', {
  python_executable: text,
  module_search_roots: withDefault(list(text), none),
  workload_factory: text,
  workload_config: json,
  env: withDefault(map(text), noEntries),
})
export type PythonTorchRuntimeConfig = Infer<typeof PythonTorchRuntimeConfig>

/** A dataset on this machine: `root` holds `fetch-manifest.json` and the shard files. */
export const PythonTorchDatasetConfig = record('PythonTorchDatasetConfig', {
  root: text,
  dataset_id: DatasetId,
  dataset_view_id: DatasetViewId,
  source_uri: text,
  format: text,
  manifest_hash: ContentId,
  preprocessing_hash: ContentId,
  tokenizer_hash: optional(ContentId),
  sizing: DatasetSizing,
  planner: MicroShardPlannerConfig,
  microshards_per_batch: u64,
  metadata: Metadata,
})
export type PythonTorchDatasetConfig = Infer<typeof PythonTorchDatasetConfig>

/** Which `state_dict` entries travel: glob patterns on full keys. No includes means all; excludes win. */
export const PythonStateDictFilterConfig = record('PythonStateDictFilterConfig', {
  include_globs: withDefault(list(text), none),
  exclude_globs: withDefault(list(text), none),
})
export type PythonStateDictFilterConfig = Infer<typeof PythonStateDictFilterConfig>

const checkpointCommand = {
  program: text,
  args: withDefault(list(text), none),
  env: withDefault(map(text), noEntries),
  module_search_roots: withDefault(list(text), none),
}

/** A program that runs one DiLoCo inner loop (spec diloco-reference#inner-loop). */
export const PythonCheckpointCommandConfig = record(
  'PythonCheckpointCommandConfig',
  checkpointCommand,
)
export type PythonCheckpointCommandConfig = Infer<typeof PythonCheckpointCommandConfig>

/** What runs the inner loop of DiLoCo: the workload itself, or a program. */
export const PythonDiLoCoBackend = kinds('PythonDiLoCoBackend', {
  disabled: {},
  in_process_worker: {},
  checkpoint_command: checkpointCommand,
})
export type PythonDiLoCoBackend = Infer<typeof PythonDiLoCoBackend>

/** How the inner loop of DiLoCo is run; exact numbers of steps are required by default. */
export const PythonDiLoCoConfig = record('PythonDiLoCoConfig', {
  backend: withDefault(PythonDiLoCoBackend, () => ({ kind: 'disabled' })),
  require_exact_steps: withDefault(bool, () => true),
})
export type PythonDiLoCoConfig = Infer<typeof PythonDiLoCoConfig>

/** What the generic parameter pack of a workload would hold. */
export const PythonParameterPackPlanResponse = record('PythonParameterPackPlanResponse', {
  uses_custom_parameter_pack_hooks: withDefault(bool, () => false),
  layout_hash: optional(ContentId),
  included_keys: withDefault(list(text), none),
  excluded_float_keys: withDefault(list(text), none),
  ignored_non_float_keys: withDefault(list(text), none),
  parameter_count: withDefault(u64, () => 0),
  generic_plan_error: optional(text),
})
export type PythonParameterPackPlanResponse = Infer<typeof PythonParameterPackPlanResponse>

/** What a check before a deployment found out about a workload. */
export const PythonDeploymentSanityReport = record('PythonDeploymentSanityReport', {
  training_protocol: TrainingProtocol,
  diloco_backend: PythonDiLoCoBackend,
  state_dict_filter: PythonStateDictFilterConfig,
  parameter_pack_plan: PythonParameterPackPlanResponse,
})
export type PythonDeploymentSanityReport = Infer<typeof PythonDeploymentSanityReport>
