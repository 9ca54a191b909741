/** Artifacts in chunks and the store that holds them (spec store). */

export type { OperationOptions } from '../core/abort.js'
export { aggregateArtifact, type AggregateArtifact } from './aggregate-artifact.js'
export { buildArtifactDescriptor } from './artifact-operations.js'
export type { StoreArtifactOptions } from './artifact-writer.js'
export type { Durability } from './chunk-files.js'
export type { ArtifactSource } from './chunk-feed.js'
export { chunkingScheme } from './chunking.js'
export {
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
export * from './errors.js'
export {
  fetchArtifact,
  type ChunkSource,
  type FetchOptions,
  type FetchProgress,
  type FetchReport,
  type SourceReport,
} from './fetch.js'
export {
  FsArtifactStore,
  type CompletenessOptions,
  type StoreArtifactBytesOptions,
  type StoreOptions,
} from './fs-artifact-store.js'
export type { GarbageCollectionReport } from './garbage-collection.js'
export type { StoredRecord, StoreRecordOptions } from './record-folder.js'
