/** Who is there and what is trained: the directories of peers and of experiments (spec network-records#directory). */

import type { Infer } from '../../codec.js'
import { list, optional, record, skipNull, withDefault } from '../../containers.js'
import {
  ContentId,
  DatasetViewId,
  ExperimentId,
  HeadId,
  NetworkId,
  PeerId,
  RevisionId,
  StudyId,
  WorkloadId,
} from '../../ids.js'
import { text, u64 } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'
import { names } from '../../variants.js'
import { Metadata } from '../dataset.js'
import { TrainingProtocol } from '../protocol.js'
import { ExperimentScopes, PeerRoles, PeerRoleSet } from './roles.js'

/** What a peer must bring along to train. Sizes in bytes, windows in seconds. */
export const ExperimentResourceRequirements = record('ExperimentResourceRequirements', {
  minimum_roles: PeerRoles,
  minimum_device_memory_bytes: optional(u64),
  minimum_system_memory_bytes: optional(u64),
  estimated_download_bytes: u64,
  estimated_window_seconds: u64,
})
export type ExperimentResourceRequirements = Infer<typeof ExperimentResourceRequirements>

/** Who sees an experiment. */
export const ExperimentVisibility = names(
  'ExperimentVisibility',
  'Public',
  'OptIn',
  'InviteOnly',
  'AuthorityAssigned',
)
export type ExperimentVisibility = Infer<typeof ExperimentVisibility>

/** Who may join an experiment. */
export const ExperimentOptInPolicy = names(
  'ExperimentOptInPolicy',
  'Open',
  'Scoped',
  'InviteOnly',
  'AuthorityAssigned',
)
export type ExperimentOptInPolicy = Infer<typeof ExperimentOptInPolicy>

/** An experiment that peers may join. Keys of `metadata` carry policies, such as `burn_p2p.revision.merge_topology.policy_json`. */
export const ExperimentDirectoryEntry = record('ExperimentDirectoryEntry', {
  network_id: NetworkId,
  study_id: StudyId,
  experiment_id: ExperimentId,
  workload_id: WorkloadId,
  display_name: text,
  model_schema_hash: ContentId,
  dataset_view_id: DatasetViewId,
  resource_requirements: ExperimentResourceRequirements,
  visibility: ExperimentVisibility,
  opt_in_policy: ExperimentOptInPolicy,
  current_revision_id: RevisionId,
  current_head_id: optional(HeadId),
  allowed_roles: PeerRoleSet,
  allowed_scopes: ExperimentScopes,
  training_protocol: withDefault(TrainingProtocol, () => 'ArtifactWindows' as const),
  metadata: Metadata,
})
export type ExperimentDirectoryEntry = Infer<typeof ExperimentDirectoryEntry>

/** The experiments that a peer knows. */
export const ExperimentDirectoryAnnouncement = record('ExperimentDirectoryAnnouncement', {
  network_id: NetworkId,
  entries: list(ExperimentDirectoryEntry),
  announced_at: Timestamp,
})
export type ExperimentDirectoryAnnouncement = Infer<typeof ExperimentDirectoryAnnouncement>

/** Where a peer can be reached, and what it does. A peer without roles counts as eligible for every one. */
export const PeerDirectoryAnnouncement = record('PeerDirectoryAnnouncement', {
  network_id: NetworkId,
  peer_id: PeerId,
  addresses: list(text),
  advertised_roles: skipNull(PeerRoleSet),
  announced_at: Timestamp,
})
export type PeerDirectoryAnnouncement = Infer<typeof PeerDirectoryAnnouncement>
