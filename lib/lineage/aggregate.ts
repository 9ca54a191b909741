/** The record of a merge as a separate artifact (spec store#catalogue). */

import {
  AggregateStats,
  ArtifactId,
  ContentId,
  contentIdOf,
  ContributionReceiptId,
  ExperimentId,
  f64,
  HeadId,
  list,
  MergePolicy,
  PeerId,
  record,
  RevisionId,
  StudyId,
  text,
  Timestamp,
  tuple,
  type ArtifactDescriptor,
  type ChunkingScheme,
  type Infer,
} from '../schema/index.js'
import type { OperationOptions } from '../core/abort.js'
import { buildArtifactDescriptor } from '../store/artifact-operations.js'
import { chunkingScheme } from '../store/chunking.js'
import { MergePlan } from './merge-plan.js'

/** Record format of an aggregate's artifact. */
export const AGGREGATE_RECORD_FORMAT = 'burn-p2p:aggregate-envelope+json'

/** One update that went into a merge. */
export const AggregateArtifactInput = record('AggregateArtifactInput', {
  peer_id: PeerId,
  artifact_id: ArtifactId,
  sample_weight: f64,
  quality_weight: f64,
  receipt_ids: list(ContributionReceiptId),
})
export type AggregateArtifactInput = Infer<typeof AggregateArtifactInput>

/** A merge with all that went into it. */
export const AggregateArtifactRecord = record('AggregateArtifactRecord', {
  aggregate_id: ContentId,
  study_id: StudyId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  base_head_id: HeadId,
  policy: MergePolicy,
  aggregate_stats: AggregateStats,
  merge_plan: MergePlan,
  inputs: list(AggregateArtifactInput),
  created_at: Timestamp,
})
export type AggregateArtifactRecord = Infer<typeof AggregateArtifactRecord>

/** The artifact of an aggregate record. */
export interface AggregateArtifact {
  readonly descriptor: ArtifactDescriptor
  /** The record as pretty JSON, UTF-8. */
  readonly bytes: Uint8Array
}

const schemaHash = tuple('aggregate schema hash', text, StudyId, ExperimentId, RevisionId, HeadId)

/**
 * The bytes of an aggregate record and their descriptor: a DeltaPack in Fp32 on the record's base head. Store it
 * with `storePrebuiltArtifactBytes`.
 *
 * @throws ConfigError when the record does not fit, InvalidChunkSizeError
 */
export async function aggregateArtifact(
  aggregate: AggregateArtifactRecord,
  chunking: ChunkingScheme = chunkingScheme(),
  options: OperationOptions = {},
): Promise<AggregateArtifact> {
  const { study_id, experiment_id, revision_id, base_head_id } = aggregate
  const bytes = Buffer.from(AggregateArtifactRecord.toJson(aggregate, { pretty: true }))
  const model_schema_hash = contentIdOf(schemaHash, [
    'aggregate-artifact',
    study_id,
    experiment_id,
    revision_id,
    base_head_id,
  ])
  const descriptor = await buildArtifactDescriptor(
    {
      kind: 'DeltaPack',
      base_head_id,
      precision: 'Fp32',
      model_schema_hash,
      record_format: AGGREGATE_RECORD_FORMAT,
    },
    bytes,
    chunking,
    options,
  )
  return { descriptor, bytes }
}
