/** How a workload gets batches from a lease, and the batches (spec project#batches, formats#enums and formats#records). */

import type { Infer } from '../codec.js'
import { list, optional, record, skipNull } from '../containers.js'
import { LeaseId, MicroShardId } from '../ids.js'
import { text, u32, u64 } from '../primitives.js'
import { json } from '../values.js'
import { kinds, names } from '../variants.js'
import { Metadata } from './dataset.js'

/** The default is `sharded-static`. */
export const LeaseDataPipelineKind = names(
  'LeaseDataPipelineKind',
  'sharded-static',
  'indexed-dataset',
  'generated-dataset',
  'custom',
)
export type LeaseDataPipelineKind = Infer<typeof LeaseDataPipelineKind>

/** The generator that makes the input of a workload. */
export const GeneratedWorkloadInputDescriptor = record('GeneratedWorkloadInputDescriptor', {
  provider: text,
  metadata: Metadata,
})
export type GeneratedWorkloadInputDescriptor = Infer<typeof GeneratedWorkloadInputDescriptor>

/** Where a workload's input comes from. */
export const WorkloadInputSource = kinds('WorkloadInputSource', {
  'inline-records': { record_format: text, record_count: optional(u64) },
  'http-json': { url: text, record_count: optional(u64) },
  'shard-manifest-http': { manifest_url: text, shard_count: optional(u64) },
  generated: { descriptor: GeneratedWorkloadInputDescriptor },
  custom: { source_kind: text, metadata: Metadata },
})
export type WorkloadInputSource = Infer<typeof WorkloadInputSource>

/** What a data pipeline is, in words that peers can read. */
export const LeaseDataPipelineDescriptor = record('LeaseDataPipelineDescriptor', {
  pipeline_name: text,
  kind: LeaseDataPipelineKind,
  input_source: skipNull(WorkloadInputSource),
  metadata: Metadata,
})
export type LeaseDataPipelineDescriptor = Infer<typeof LeaseDataPipelineDescriptor>

/**
 * A batch as the workload gets it: cached shards to read, or a micro-epoch that the payload describes.
 * `bytes_len` is the sum over the cached shards.
 */
export const PythonBatchRef = kinds('PythonBatchRef', {
  cached_microshard_group: {
    shard_paths: list(text),
    microshard_ids: list(MicroShardId),
    ordinals: list(u32),
    bytes_len: u64,
  },
  micro_epoch: {
    lease_id: LeaseId,
    /** All of the lease's, in lease order. */
    microshard_ids: list(MicroShardId),
    /** Of the cached shards. */
    ordinals: list(u32),
    bytes_len: u64,
    pipeline_kind: LeaseDataPipelineKind,
    payload: json,
  },
})
export type PythonBatchRef = Infer<typeof PythonBatchRef>
