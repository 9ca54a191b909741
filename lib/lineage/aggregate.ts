/** The record of a merge as a separate artifact (spec store#catalogue). */

import {
  AggregateStats,
  ArtifactId,
  ContentId,
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
  Timestamp,
  type Infer,
} from '../schema/index.js'
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
