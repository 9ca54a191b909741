/** Data: registration, plan, lease, shard cache, pipelines and receipts (spec planning). */

export { cachedMicroshardGroup, microEpoch } from './batches.js'
export {
  DEFAULT_LEASE_PLANNER_CONFIG,
  DEFAULT_MICROSHARD_PLANNER_CONFIG,
  FETCH_CONCURRENCY,
  FETCH_MANIFEST_NAME,
  HTTP_IDLE_TIMEOUT_MS,
  HTTP_TOTAL_TIMEOUT_MS,
  MAX_FETCH_MANIFEST_BYTES,
  MAX_HTTP_REDIRECTS,
  MAX_LOCATOR_LENGTH,
  MAX_SHARD_BYTES,
} from './constants.js'
export {
  DataReceiptBuilder,
  processedCounts,
  type ProcessedCounts,
} from './data-receipt-builder.js'
export type { HttpTimeouts } from './download.js'
export * from './errors.js'
export { fetchEntry, fromMicroshards } from './fetch-manifest.js'
export { LeaseCache } from './lease-cache.js'
export { LeasePlanner, type PartialLeasePlannerConfig, type LeaseRequest } from './lease-planner.js'
export { checkLocator, shardFileName } from './locator.js'
export { MicroShardPlanner } from './micro-shard-planner.js'
export {
  customPipeline,
  generatedDatasetPipeline,
  indexedDatasetPipeline,
  microEpochPipeline,
  SHARDED_PIPELINE_NAME,
  shardedDataPipeline,
  type Awaitable,
  type CustomPipeline,
  type LeaseDataPipeline,
  type PayloadFunction,
} from './pipelines.js'
export { localUpstreamRoot, plan, registration } from './dataset-registration.js'
export { ShardAwareSampler } from './shard-aware-sampler.js'
export { ShardCache, type ShardCacheOptions } from './shard-cache.js'
export type { OperationOptions } from '../core/abort.js'
export { MAX_SLICE_MS } from '../core/time-slices.js'
export {
  openUpstream,
  type ReadManifestOptions,
  type ShardUpstream,
  type UpstreamManifest,
} from './upstream.js'
