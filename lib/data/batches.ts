/** Makes the batches of a lease that the workload gets (spec project#batches). */

import type {
  AssignmentLease,
  CachedMicroShard,
  JsonValue,
  LeaseDataPipelineKind,
  PythonBatchRef,
} from '../schema/index.js'
import { sumExact } from './exact-integers.js'

/** A batch of shard files to read, in the order given. */
export function cachedMicroshardGroup(
  cached: readonly CachedMicroShard[],
): Extract<PythonBatchRef, { kind: 'cached_microshard_group' }> {
  return {
    kind: 'cached_microshard_group',
    shard_paths: cached.map(({ path }) => path),
    microshard_ids: cached.map(({ microshard }) => microshard.microshard_id),
    ordinals: cached.map(({ microshard }) => microshard.ordinal),
    bytes_len: bytesOf(cached),
  }
}

/**
 * A batch that a payload describes. It names all microshards of the lease, and the ordinals of those that are
 * cached.
 *
 * @param payload integers are `bigint` and floats `number`; `jsonFrom` of lib/schema takes ordinary values
 */
export function microEpoch(
  lease: Pick<AssignmentLease, 'lease_id' | 'microshards'>,
  cached: readonly CachedMicroShard[],
  kind: LeaseDataPipelineKind,
  payload: JsonValue,
): Extract<PythonBatchRef, { kind: 'micro_epoch' }> {
  return {
    kind: 'micro_epoch',
    lease_id: lease.lease_id,
    microshard_ids: lease.microshards,
    ordinals: cached.map(({ microshard }) => microshard.ordinal),
    bytes_len: bytesOf(cached),
    pipeline_kind: kind,
    payload,
  }
}

function bytesOf(cached: readonly CachedMicroShard[]): number {
  return sumExact(
    'The lengths of the shards',
    cached.map(({ bytes_len }) => bytes_len),
  )
}
