/**
 * Batch references as a trainer sends them: plain data, of which a call may carry thousands. Without an
 * import, so that the start of another bridge does not pay for torchbed's modules.
 */

import type { PythonBatchRef } from '../../lib/schema/index.js'

/** So many references to one shard each. */
export function batchRefs(count: number): PythonBatchRef[] {
  return Array.from({ length: count }, (_, index) => ({
    kind: 'cached_microshard_group',
    shard_paths: [`/data/view/${String(index).padStart(5, '0')}.bin`],
    microshard_ids: [`1220${String(index).padStart(64, '0')}`],
    ordinals: [index],
    bytes_len: 65_536,
  }))
}
