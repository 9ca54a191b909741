/** Announcements, and the snapshot of all that a peer knows (spec network-records#announcements and network#snapshot). */

import type { Codec, Infer } from '../../codec.js'
import { list, record, skipNull, tolerantList, withDefault } from '../../containers.js'
import { PeerId } from '../../ids.js'
import { Timestamp } from '../../timestamp.js'
import { HeadDescriptor } from '../head.js'
import { AssignmentLease } from '../lease.js'
import { PeerAuthEnvelope } from './certificates.js'
import { ControlCertificate } from './control.js'
import { ExperimentDirectoryAnnouncement, PeerDirectoryAnnouncement } from './directory.js'
import { OverlayTopic } from './overlay.js'
import {
  AggregateEnvelope,
  DiffusionPromotionCertificate,
  MergeCertificate,
  ReductionCertificate,
  TrainerPromotionAttestation,
  ValidationQuorumCertificate,
} from './promotion.js'
import {
  FleetPlacementSnapshot,
  MetricsLiveEvent,
  PeerWindowPlacementHint,
  ReducerLoadReport,
} from './telemetry.js'
import { UpdateAnnounce } from './updates.js'
import { MergeWindowState, ReducerAssignment } from './windows.js'

/** A certificate on an overlay. */
function certificateAnnouncement<T>(name: string, certificate: Codec<T>) {
  return record(name, { overlay: OverlayTopic, certificate, announced_at: Timestamp })
}

/** A signed order to the network. */
export const ControlAnnouncement = certificateAnnouncement(
  'ControlAnnouncement',
  ControlCertificate,
)
export type ControlAnnouncement = Infer<typeof ControlAnnouncement>

/** A signed plan to move an experiment to another phase. */
export const ExperimentLifecycleAnnouncement = certificateAnnouncement(
  'ExperimentLifecycleAnnouncement',
  ControlCertificate,
)
export type ExperimentLifecycleAnnouncement = Infer<typeof ExperimentLifecycleAnnouncement>

/** A signed assignment of peers to experiments. */
export const FleetScheduleAnnouncement = certificateAnnouncement(
  'FleetScheduleAnnouncement',
  ControlCertificate,
)
export type FleetScheduleAnnouncement = Infer<typeof FleetScheduleAnnouncement>

/** A head, and who has its artifact. Validators of the reference do not see one without a provider. */
export const HeadAnnouncement = record('HeadAnnouncement', {
  overlay: OverlayTopic,
  provider_peer_id: skipNull(PeerId),
  head: HeadDescriptor,
  announced_at: Timestamp,
})
export type HeadAnnouncement = Infer<typeof HeadAnnouncement>

/** A lease that a peer took. */
export const LeaseAnnouncement = record('LeaseAnnouncement', {
  overlay: OverlayTopic,
  lease: AssignmentLease,
  announced_at: Timestamp,
})
export type LeaseAnnouncement = Infer<typeof LeaseAnnouncement>

/** A promotion. */
export const MergeAnnouncement = certificateAnnouncement('MergeAnnouncement', MergeCertificate)
export type MergeAnnouncement = Infer<typeof MergeAnnouncement>

/** A window that a peer opened or joined. */
export const MergeWindowAnnouncement = record('MergeWindowAnnouncement', {
  overlay: OverlayTopic,
  merge_window: MergeWindowState,
  announced_at: Timestamp,
})
export type MergeWindowAnnouncement = Infer<typeof MergeWindowAnnouncement>

/** Who reduces a peer's update. */
export const ReducerAssignmentAnnouncement = record('ReducerAssignmentAnnouncement', {
  overlay: OverlayTopic,
  assignment: ReducerAssignment,
  announced_at: Timestamp,
})
export type ReducerAssignmentAnnouncement = Infer<typeof ReducerAssignmentAnnouncement>

/** An update; when it was announced stands inside. */
export const UpdateEnvelopeAnnouncement = record('UpdateEnvelopeAnnouncement', {
  overlay: OverlayTopic,
  update: UpdateAnnounce,
})
export type UpdateEnvelopeAnnouncement = Infer<typeof UpdateEnvelopeAnnouncement>

/** An aggregate that a reducer proposes. */
export const AggregateProposalAnnouncement = record('AggregateProposalAnnouncement', {
  overlay: OverlayTopic,
  proposal: AggregateEnvelope,
  announced_at: Timestamp,
})
export type AggregateProposalAnnouncement = Infer<typeof AggregateProposalAnnouncement>

/** A validator's reduction certificate. */
export const ReductionCertificateAnnouncement = certificateAnnouncement(
  'ReductionCertificateAnnouncement',
  ReductionCertificate,
)
export type ReductionCertificateAnnouncement = Infer<typeof ReductionCertificateAnnouncement>

/** The certificate of a quorum of validators. */
export const ValidationQuorumAnnouncement = certificateAnnouncement(
  'ValidationQuorumAnnouncement',
  ValidationQuorumCertificate,
)
export type ValidationQuorumAnnouncement = Infer<typeof ValidationQuorumAnnouncement>

/** A trainer's attestation in a diffusion. */
export const TrainerPromotionAttestationAnnouncement = record(
  'TrainerPromotionAttestationAnnouncement',
  { overlay: OverlayTopic, attestation: TrainerPromotionAttestation, announced_at: Timestamp },
)
export type TrainerPromotionAttestationAnnouncement = Infer<
  typeof TrainerPromotionAttestationAnnouncement
>

/** The promotion of a diffusion. */
export const DiffusionPromotionCertificateAnnouncement = certificateAnnouncement(
  'DiffusionPromotionCertificateAnnouncement',
  DiffusionPromotionCertificate,
)
export type DiffusionPromotionCertificateAnnouncement = Infer<
  typeof DiffusionPromotionCertificateAnnouncement
>

/** A reducer's load. */
export const ReducerLoadAnnouncement = record('ReducerLoadAnnouncement', {
  overlay: OverlayTopic,
  report: ReducerLoadReport,
})
export type ReducerLoadAnnouncement = Infer<typeof ReducerLoadAnnouncement>

/** A peer's certificate. */
export const PeerAuthAnnouncement = record('PeerAuthAnnouncement', {
  peer_id: PeerId,
  envelope: PeerAuthEnvelope,
  announced_at: Timestamp,
})
export type PeerAuthAnnouncement = Infer<typeof PeerAuthAnnouncement>

/** New metrics, and how peers did in the window. */
export const MetricsAnnouncement = record('MetricsAnnouncement', {
  overlay: OverlayTopic,
  event: MetricsLiveEvent,
  peer_window_hints: withDefault(list(PeerWindowPlacementHint), () => []),
  placement_snapshot: skipNull(FleetPlacementSnapshot),
})
export type MetricsAnnouncement = Infer<typeof MetricsAnnouncement>

/**
 * All that a peer knows: nineteen lists, each of which has to be there. Much of it a peer only passes on, so a record that
 * does not fit, such as one with a step beyond 2^53, is left out and the rest is read.
 */
export const ControlPlaneSnapshot = record('ControlPlaneSnapshot', {
  control_announcements: tolerantList(ControlAnnouncement),
  lifecycle_announcements: tolerantList(ExperimentLifecycleAnnouncement),
  schedule_announcements: tolerantList(FleetScheduleAnnouncement),
  head_announcements: tolerantList(HeadAnnouncement),
  lease_announcements: tolerantList(LeaseAnnouncement),
  merge_announcements: tolerantList(MergeAnnouncement),
  merge_window_announcements: tolerantList(MergeWindowAnnouncement),
  reducer_assignment_announcements: tolerantList(ReducerAssignmentAnnouncement),
  update_announcements: tolerantList(UpdateEnvelopeAnnouncement),
  aggregate_proposal_announcements: tolerantList(AggregateProposalAnnouncement),
  reduction_certificate_announcements: tolerantList(ReductionCertificateAnnouncement),
  validation_quorum_announcements: tolerantList(ValidationQuorumAnnouncement),
  trainer_promotion_attestation_announcements: tolerantList(
    TrainerPromotionAttestationAnnouncement,
  ),
  diffusion_promotion_certificate_announcements: tolerantList(
    DiffusionPromotionCertificateAnnouncement,
  ),
  reducer_load_announcements: tolerantList(ReducerLoadAnnouncement),
  auth_announcements: tolerantList(PeerAuthAnnouncement),
  directory_announcements: tolerantList(ExperimentDirectoryAnnouncement),
  peer_directory_announcements: tolerantList(PeerDirectoryAnnouncement),
  metrics_announcements: tolerantList(MetricsAnnouncement),
})
export type ControlPlaneSnapshot = Infer<typeof ControlPlaneSnapshot>

/** What a peer knows that knows nothing. */
export const EMPTY_SNAPSHOT: ControlPlaneSnapshot = {
  control_announcements: [],
  lifecycle_announcements: [],
  schedule_announcements: [],
  head_announcements: [],
  lease_announcements: [],
  merge_announcements: [],
  merge_window_announcements: [],
  reducer_assignment_announcements: [],
  update_announcements: [],
  aggregate_proposal_announcements: [],
  reduction_certificate_announcements: [],
  validation_quorum_announcements: [],
  trainer_promotion_attestation_announcements: [],
  diffusion_promotion_certificate_announcements: [],
  reducer_load_announcements: [],
  auth_announcements: [],
  directory_announcements: [],
  peer_directory_announcements: [],
  metrics_announcements: [],
}
