/** Heads and the contributions that lead to them (spec formats#enums, formats#records and formats#derived-ids). */

import type { Infer } from '../codec.js'
import { optional, record, tuple } from '../containers.js'
import { contentIdOf } from '../content-id.js'
import {
  ArtifactId,
  type ContentId,
  ContributionReceiptId,
  ExperimentId,
  HeadId,
  MergeCertId,
  PeerId,
  RevisionId,
  StudyId,
} from '../ids.js'
import { f64, text, u64 } from '../primitives.js'
import { Timestamp } from '../timestamp.js'
import { Metrics } from '../values.js'
import { variants } from '../variants.js'

/** How candidate models are merged. */
export const MergePolicy = variants('MergePolicy', {
  WeightedMean: null,
  NormClippedWeightedMean: null,
  TrimmedMean: null,
  Ema: null,
  QualityWeightedEma: null,
  Custom: text,
})
export type MergePolicy = Infer<typeof MergePolicy>

/** A published state of a model. The first head of an experiment has no parent. */
export const HeadDescriptor = record('HeadDescriptor', {
  head_id: HeadId,
  study_id: StudyId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  artifact_id: ArtifactId,
  parent_head_id: optional(HeadId),
  global_step: u64,
  created_at: Timestamp,
  metrics: Metrics,
})
export type HeadDescriptor = Infer<typeof HeadDescriptor>

/** One peer's accepted contribution to a window. */
export const ContributionReceipt = record('ContributionReceipt', {
  receipt_id: ContributionReceiptId,
  peer_id: PeerId,
  study_id: StudyId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  base_head_id: HeadId,
  artifact_id: ArtifactId,
  accepted_at: Timestamp,
  accepted_weight: f64,
  metrics: Metrics,
  merge_cert_id: optional(MergeCertId),
})
export type ContributionReceipt = Infer<typeof ContributionReceipt>

const receiptRootHash = tuple('receipt root hash', ContributionReceiptId)

/** The `receipt_root` of an update that carries this one receipt (spec formats#derived-ids). */
export function receiptRoot(receipt: ContributionReceiptId): ContentId {
  return contentIdOf(receiptRootHash, [receipt])
}
