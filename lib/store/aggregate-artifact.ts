/** The record of a merge as an artifact (spec store#catalogue). */

import type { OperationOptions } from '../core/abort.js'
import { AGGREGATE_RECORD_FORMAT, AggregateArtifactRecord } from '../lineage/aggregate.js'
import {
  contentIdOf,
  ExperimentId,
  HeadId,
  RevisionId,
  StudyId,
  text,
  tuple,
  type ArtifactDescriptor,
  type ChunkingScheme,
} from '../schema/index.js'
import { buildArtifactDescriptor } from './artifact-operations.js'
import { chunkingScheme } from './chunking.js'

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
