/** Defaults that the formats fix (spec planning#microshards and planning#leases), and limits of the cache with their reasons. */

import type { LeasePlannerConfig, MicroShardPlannerConfig } from '../schema/index.js'

/** Spec planning#microshards. */
export const DEFAULT_MICROSHARD_PLANNER_CONFIG: MicroShardPlannerConfig = {
  target_microshard_bytes: 64 * 1024 * 1024,
  min_microshards: 1,
  max_microshards: 16_384,
}

/** Spec planning#leases. */
export const DEFAULT_LEASE_PLANNER_CONFIG: LeasePlannerConfig = {
  lease_duration_seconds: 300,
  max_microshards_per_lease: 128,
  cost_model: {
    tokens_per_work_unit: 1024,
    examples_per_work_unit: 16,
    bytes_per_work_unit: 256 * 1024,
    minimum_work_units: 1,
  },
}

/** The manifest's name, in a cache and in an upstream (spec planning#shard-cache). */
export const FETCH_MANIFEST_NAME = 'fetch-manifest.json'

/** Largest fetch manifest that is read, in bytes: some 200 000 entries, read in one piece. */
export const MAX_FETCH_MANIFEST_BYTES = 64 * 1024 * 1024

/** Largest shard that is fetched, in bytes. It streams, so this guards the disk, not the memory. */
export const MAX_SHARD_BYTES = 4 * 1024 * 1024 * 1024

/** Longest locator, in UTF-16 units: what Linux takes as a path. */
export const MAX_LOCATOR_LENGTH = 4096

/** Bytes read and hashed in one go: under a millisecond of hashing on a slow core. */
export const READ_PIECE_BYTES = 256 * 1024

/** Shards of one lease that are fetched at the same time: enough to hide latency, few enough to be polite. */
export const FETCH_CONCURRENCY = 4

/** Longest silence of a server, before its answer and between pieces, in milliseconds. */
export const HTTP_IDLE_TIMEOUT_MS = 30_000

/** Longest time for one file however steadily it drips, in milliseconds: 4 GiB at 10 Mbit/s. */
export const HTTP_TOTAL_TIMEOUT_MS = 60 * 60 * 1000

/** Most redirects that are followed for one file. */
export const MAX_HTTP_REDIRECTS = 5
