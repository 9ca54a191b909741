/** Batch references as a trainer sends them: plain data, of which a call may carry thousands. */

export interface BatchRef {
  readonly kind: 'cached_microshard_group'
  readonly shard_paths: readonly string[]
  readonly microshard_ids: readonly string[]
  readonly ordinals: readonly number[]
  readonly bytes_len: number
}

/** So many references to one shard each. */
export function batchRefs(count: number): BatchRef[] {
  return Array.from({ length: count }, (_, index) =>
    batchRef([`/data/view/${String(index).padStart(5, '0')}.bin`], index),
  )
}

/** One reference to these shards, the first of which has the ordinal `first`. */
export function batchRef(paths: readonly string[], first = 0): BatchRef {
  return {
    kind: 'cached_microshard_group',
    shard_paths: paths,
    microshard_ids: paths.map((_, index) => `1220${String(first + index).padStart(64, '0')}`),
    ordinals: paths.map((_, index) => first + index),
    bytes_len: 65_536 * paths.length,
  }
}
