/** From updates to the next head: aggregates, certificates, attestations, and their ids (spec network-records#aggregates-and-certificates). */

import type { Infer } from '../../codec.js'
import { list, record, skipNull, tuple } from '../../containers.js'
import { contentIdOf } from '../../content-id.js'
import {
  AggregateId,
  ArtifactId,
  ContentId,
  ContributionReceiptId,
  ExperimentId,
  HeadId,
  MergeCertId,
  PeerId,
  RevisionId,
  StudyId,
  WindowId,
} from '../../ids.js'
import { f64, text, u16, u32 } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'
import { names } from '../../variants.js'
import { AggregateStats } from '../aggregate-stats.js'
import { MergePolicy } from '../head.js'
import { promotionMode } from './windows.js'

/** Where an aggregate stands between leaves and root. */
export const AggregateTier = names('AggregateTier', 'Leaf', 'Upper', 'RootCandidate')
export type AggregateTier = Infer<typeof AggregateTier>

const scope = { study_id: StudyId, experiment_id: ExperimentId, revision_id: RevisionId }

/** Names a window of a revision and the head that it starts from. */
const windowScope = { ...scope, window_id: WindowId, base_head_id: HeadId }

/** A merge of updates that its reducer proposes. */
export const AggregateEnvelope = record('AggregateEnvelope', {
  aggregate_id: AggregateId,
  ...windowScope,
  aggregate_artifact_id: ArtifactId,
  tier: AggregateTier,
  reducer_peer_id: PeerId,
  contributor_peers: list(PeerId),
  child_aggregate_ids: list(AggregateId),
  stats: AggregateStats,
  providers: list(PeerId),
  published_at: Timestamp,
})
export type AggregateEnvelope = Infer<typeof AggregateEnvelope>

/** One validator's word that it came to the same aggregate. */
export const ReductionCertificate = record('ReductionCertificate', {
  reduction_id: ContentId,
  ...windowScope,
  aggregate_id: AggregateId,
  promoter_peer_id: PeerId,
  promotion_mode: promotionMode,
  promotion_quorum: u16,
  cross_checked_reducers: list(PeerId),
  issued_at: Timestamp,
})
export type ReductionCertificate = Infer<typeof ReductionCertificate>

/** The validators that agree on a merged head. */
export const ValidationQuorumCertificate = record('ValidationQuorumCertificate', {
  quorum_cert_id: ContentId,
  ...windowScope,
  aggregate_id: AggregateId,
  aggregate_artifact_id: ArtifactId,
  merged_head_id: HeadId,
  promotion_mode: promotionMode,
  validator_quorum: u16,
  coordinator: PeerId,
  attesting_validators: list(PeerId),
  reduction_ids: list(ContentId),
  issued_at: Timestamp,
})
export type ValidationQuorumCertificate = Infer<typeof ValidationQuorumCertificate>

/** A promotion: trainers follow the newest one that has a head. */
export const MergeCertificate = record('MergeCertificate', {
  merge_cert_id: MergeCertId,
  ...scope,
  base_head_id: HeadId,
  merged_head_id: HeadId,
  merged_artifact_id: ArtifactId,
  policy: MergePolicy,
  issued_at: Timestamp,
  promoter_peer_id: PeerId,
  promotion_mode: promotionMode,
  contribution_receipts: list(ContributionReceiptId),
})
export type MergeCertificate = Infer<typeof MergeCertificate>

/** One trainer's word for a merged head of a diffusion. */
export const TrainerPromotionAttestation = record('TrainerPromotionAttestation', {
  ...windowScope,
  merged_head_id: HeadId,
  merged_artifact_id: ArtifactId,
  contribution_receipt_ids: list(ContributionReceiptId),
  contribution_receipt_root: ContentId,
  attester_peer_id: PeerId,
  promotion_mode: promotionMode,
  accepted_update_count: u32,
  accepted_sample_weight: f64,
  quality_score: skipNull(f64),
  issued_at: Timestamp,
})
export type TrainerPromotionAttestation = Infer<typeof TrainerPromotionAttestation>

/** The head on which the trainers of a diffusion settled. */
export const DiffusionPromotionCertificate = record('DiffusionPromotionCertificate', {
  ...windowScope,
  merged_head_id: HeadId,
  merged_artifact_id: ArtifactId,
  promotion_mode: promotionMode,
  attesting_trainers: list(PeerId),
  attestation_ids: list(ContentId),
  attester_count: u16,
  cumulative_sample_weight: f64,
  settled_at: Timestamp,
  promoter_peer_id: PeerId,
})
export type DiffusionPromotionCertificate = Infer<typeof DiffusionPromotionCertificate>

/** The revision that a record belongs to. */
export type RevisionScope = Pick<AggregateEnvelope, 'study_id' | 'experiment_id' | 'revision_id'>
/** The window that a record belongs to. */
export type WindowScope = RevisionScope & Pick<AggregateEnvelope, 'window_id' | 'base_head_id'>

const aggregateHash = tuple(
  'aggregate hash',
  StudyId,
  ExperimentId,
  RevisionId,
  WindowId,
  HeadId,
  HeadId,
)

/** The id of the aggregate that becomes such a merged head. */
export function aggregateId(window: WindowScope, mergedHead: HeadId): AggregateId {
  const { study_id, experiment_id, revision_id, window_id, base_head_id } = window
  const id: string = contentIdOf(aggregateHash, [
    study_id,
    experiment_id,
    revision_id,
    window_id,
    base_head_id,
    mergedHead,
  ])
  return id
}

const reductionHash = tuple('reduction hash', AggregateId, PeerId, WindowId)

/** The id of a peer's reduction certificate. */
export function reductionId(aggregate: AggregateId, promoter: PeerId, window: WindowId): ContentId {
  return contentIdOf(reductionHash, [aggregate, promoter, window])
}

const mergeHash = tuple(
  'merge certificate hash',
  StudyId,
  ExperimentId,
  RevisionId,
  HeadId,
  HeadId,
  PeerId,
)

/** The id of a peer's merge certificate. */
export function mergeCertId(
  certificate: RevisionScope &
    Pick<MergeCertificate, 'base_head_id' | 'merged_head_id' | 'promoter_peer_id'>,
): MergeCertId {
  const { study_id, experiment_id, revision_id } = certificate
  const { base_head_id, merged_head_id, promoter_peer_id } = certificate
  const id: string = contentIdOf(mergeHash, [
    study_id,
    experiment_id,
    revision_id,
    base_head_id,
    merged_head_id,
    promoter_peer_id,
  ])
  return id
}

const quorumHash = tuple(
  'quorum certificate hash',
  StudyId,
  ExperimentId,
  RevisionId,
  HeadId,
  AggregateId,
  HeadId,
)

/** The id of a quorum certificate. */
export function quorumCertId(
  certificate: RevisionScope &
    Pick<ValidationQuorumCertificate, 'base_head_id' | 'aggregate_id' | 'merged_head_id'>,
): ContentId {
  const { study_id, experiment_id, revision_id } = certificate
  const { base_head_id, aggregate_id, merged_head_id } = certificate
  return contentIdOf(quorumHash, [
    study_id,
    experiment_id,
    revision_id,
    base_head_id,
    aggregate_id,
    merged_head_id,
  ])
}

const canaryHash = tuple('canary evaluation hash', StudyId, ExperimentId, RevisionId, text)

/** The id of the evaluation that candidates must not be worse in. */
export function canaryEvaluationId(of: RevisionScope): ContentId {
  const { study_id, experiment_id, revision_id } = of
  return contentIdOf(canaryHash, [study_id, experiment_id, revision_id, 'runtime-canary'])
}

const receiptsHash = tuple('attestation receipt root hash', list(ContributionReceiptId))

/** The `contribution_receipt_root` of an attestation over these receipts. */
export function attestationReceiptRoot(receipts: readonly ContributionReceiptId[]): ContentId {
  return contentIdOf(receiptsHash, [receipts])
}

/** The id of an attestation: that of the whole record. */
export function attestationId(attestation: TrainerPromotionAttestation): ContentId {
  return contentIdOf(TrainerPromotionAttestation, attestation)
}
