/** Data: registration, plan, lease, shard cache, pipelines and receipts (spec section 8). */

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
  MAX_SLICE_MS,
} from './constants.js'
export {
  DataReceiptBuilder,
  processedCounts,
  type ProcessedCounts,
} from './data-receipt-builder.js'
export * from './errors.js'
export { LeaseCache } from './lease-cache.js'
export { LeasePlanner, type LeasePlannerOptions, type LeaseRequest } from './lease-planner.js'
export { MicroShardPlanner } from './micro-shard-planner.js'
export { localUpstreamRoot, plan, registration } from './registration.js'
export { ShardAwareSampler } from './shard-aware-sampler.js'
export type { AbortOptions } from './time-slices.js'
