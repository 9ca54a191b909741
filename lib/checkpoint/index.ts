/** Artifacts in chunks, their store, the catalogue of heads, and merge plans (spec section 9). */

export type { OperationOptions } from './abort.js'
export {
  AGGREGATE_RECORD_FORMAT,
  aggregateArtifact,
  AggregateArtifactInput,
  AggregateArtifactRecord,
  AggregateStats,
  type AggregateArtifact,
} from './aggregate.js'
export { buildArtifactDescriptor } from './artifact-work.js'
export type { StoreArtifactOptions } from './artifact-writer.js'
export {
  CheckpointCatalog,
  isComplete,
  type CheckpointLineage,
  type SyncPlan,
  type SyncRequest,
} from './catalog.js'
export type { Durability } from './chunk-files.js'
export type { ArtifactSource } from './chunk-feed.js'
export { chunkingScheme } from './chunking.js'
export {
  CHUNK_GRACE_MS,
  DEFAULT_CHUNK_SIZE_BYTES,
  MAX_CHUNK_BYTES,
  MAX_CHUNK_COUNT,
  MAX_ID_BYTES,
} from './constants.js'
export {
  checkArtifactDescriptor,
  checkChunkDescriptor,
  type ArtifactBuildSpec,
} from './descriptor.js'
export { EmaFlow, EmaFlowRecord } from './ema-flow.js'
export * from './errors.js'
export {
  FsArtifactStore,
  type CompletenessOptions,
  type StoreArtifactBytesOptions,
  type StoreOptions,
} from './fs-artifact-store.js'
export type { GarbageCollectionReport } from './garbage-collection.js'
export { MergePlan, type MergeCandidate } from './merge-plan.js'
export type { StoredRecord } from './record-folder.js'
