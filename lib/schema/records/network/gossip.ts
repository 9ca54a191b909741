/** What travels by gossip: one announcement in an envelope, as JSON (spec network#gossip). */

import type { Infer } from '../../codec.js'
import { record } from '../../containers.js'
import { text } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'
import { variants } from '../../variants.js'
import {
  AggregateProposalAnnouncement,
  ControlAnnouncement,
  DiffusionPromotionCertificateAnnouncement,
  ExperimentLifecycleAnnouncement,
  FleetScheduleAnnouncement,
  HeadAnnouncement,
  LeaseAnnouncement,
  MergeAnnouncement,
  MergeWindowAnnouncement,
  MetricsAnnouncement,
  PeerAuthAnnouncement,
  ReducerAssignmentAnnouncement,
  ReducerLoadAnnouncement,
  ReductionCertificateAnnouncement,
  TrainerPromotionAttestationAnnouncement,
  UpdateEnvelopeAnnouncement,
  ValidationQuorumAnnouncement,
} from './announcements.js'
import { ExperimentDirectoryAnnouncement, PeerDirectoryAnnouncement } from './directory.js'
import type { OverlayChannel } from './overlay.js'

/** An announcement under the name of its kind. */
export const PubsubPayload = variants('PubsubPayload', {
  Control: ControlAnnouncement,
  Lifecycle: ExperimentLifecycleAnnouncement,
  Schedule: FleetScheduleAnnouncement,
  Head: HeadAnnouncement,
  Lease: LeaseAnnouncement,
  Merge: MergeAnnouncement,
  MergeWindow: MergeWindowAnnouncement,
  ReducerAssignment: ReducerAssignmentAnnouncement,
  Update: UpdateEnvelopeAnnouncement,
  AggregateProposal: AggregateProposalAnnouncement,
  ReductionCertificate: ReductionCertificateAnnouncement,
  ValidationQuorum: ValidationQuorumAnnouncement,
  TrainerPromotionAttestation: TrainerPromotionAttestationAnnouncement,
  DiffusionPromotionCertificate: DiffusionPromotionCertificateAnnouncement,
  ReducerLoad: ReducerLoadAnnouncement,
  Auth: PeerAuthAnnouncement,
  Directory: ExperimentDirectoryAnnouncement,
  PeerDirectory: PeerDirectoryAnnouncement,
  Metrics: MetricsAnnouncement,
})
export type PubsubPayload = Infer<typeof PubsubPayload>

/** The name of a kind of announcement. */
export type PubsubKind = PubsubPayload extends infer P ? (P extends P ? keyof P : never) : never

/** A gossip message. */
export const PubsubEnvelope = record('PubsubEnvelope', {
  topic_path: text,
  payload: PubsubPayload,
  published_at: Timestamp,
})
export type PubsubEnvelope = Infer<typeof PubsubEnvelope>

/** The overlay over which each kind of announcement travels. */
export const CHANNEL_OF: Readonly<Record<PubsubKind, OverlayChannel>> = {
  Control: 'Control',
  Lifecycle: 'Control',
  Schedule: 'Control',
  Auth: 'Control',
  Directory: 'Control',
  PeerDirectory: 'Control',
  Head: 'Heads',
  MergeWindow: 'Heads',
  ReducerAssignment: 'Heads',
  Update: 'Heads',
  Merge: 'Heads',
  AggregateProposal: 'Heads',
  ReductionCertificate: 'Heads',
  ValidationQuorum: 'Heads',
  TrainerPromotionAttestation: 'Heads',
  DiffusionPromotionCertificate: 'Heads',
  Lease: 'Leases',
  Metrics: 'Metrics',
  ReducerLoad: 'Telemetry',
}
