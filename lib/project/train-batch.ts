/** What a window may be trained on, and the form in which its hook sees it (spec project#batches). */

import type { LentBuffer } from '../runtime/lent-buffer.js'
import type { PyInput } from '../runtime/values.js'
import { PythonBatchRef, type MicroShardId } from '../schema/index.js'
import { pythonInput } from './python-input.js'

/** A batch of shards that never touch a disk: whole safetensors files in memory, lent for the window. */
export interface MemoryBatch {
  readonly kind: 'memory_microshard_group'
  readonly shards: readonly LentBuffer[]
  readonly microshard_ids: readonly MicroShardId[]
  readonly ordinals: readonly number[]
  /** Size of all shards together, in bytes. */
  readonly bytes_len: number
}

/**
 * What a window may be trained on: the batches of a pipeline, memory, or a payload alone, which the hook sees as a
 * `micro_epoch` of no lease.
 */
export type TrainBatch =
  PythonBatchRef | MemoryBatch | { readonly kind?: undefined; readonly payload: PyInput }

/** A batch as Python gets it. */
export function batchInput(batch: TrainBatch): PyInput {
  if (batch.kind === undefined) {
    return {
      kind: 'micro_epoch',
      lease_id: '',
      microshard_ids: [],
      ordinals: [],
      bytes_len: 0,
      pipeline_kind: 'custom',
      payload: batch.payload,
    }
  }
  return batch.kind === 'memory_microshard_group'
    ? { ...batch }
    : pythonInput(PythonBatchRef, batch)
}
