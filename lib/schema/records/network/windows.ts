/** Merge windows: who merges what, by which policy, and who reduces for whom (spec network-records#windows-and-policies). */

import type { Infer } from '../../codec.js'
import { list, record, skipNull, tuple, withDefault } from '../../containers.js'
import { contentIdOf } from '../../content-id.js'
import {
  ContentId,
  ExperimentId,
  HeadId,
  NetworkId,
  PeerId,
  RevisionId,
  StudyId,
  WindowId,
} from '../../ids.js'
import { bool, text, u16, u32, u8 } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'
import { names } from '../../variants.js'

/** How a merged head becomes the canonical one. */
export const HeadPromotionMode = names(
  'HeadPromotionMode',
  'ValidatorQuorum',
  'ReducerAuthority',
  'DiffusionSteadyState',
)
export type HeadPromotionMode = Infer<typeof HeadPromotionMode>

/** The mode of a record; records of older peers lack it. */
export const promotionMode = withDefault(HeadPromotionMode, () => 'ValidatorQuorum' as const)

/** When the trainers of a diffusion agree: times in seconds and milliseconds. */
export const DiffusionSteadyStatePolicy = record('DiffusionSteadyStatePolicy', {
  settlement_timeout_secs: u32,
  artifact_sync_timeout_secs: withDefault(u32, () => 120),
  observation_poll_ms: u32,
  required_stable_observations: u16,
  support_margin: u16,
  allow_solo_promotion: bool,
})
export type DiffusionSteadyStatePolicy = Infer<typeof DiffusionSteadyStatePolicy>

/** Who decides about the next head, and how many of them. */
export const HeadPromotionPolicy = record('HeadPromotionPolicy', {
  mode: promotionMode,
  validator_quorum: u16,
  diffusion: skipNull(DiffusionSteadyStatePolicy),
  apply_single_root_ema: bool,
  allow_late_rollover: bool,
  promote_serve_head: bool,
})
export type HeadPromotionPolicy = Infer<typeof HeadPromotionPolicy>

/** The way updates take to those who merge them. */
export const MergeStrategy = names(
  'MergeStrategy',
  'GlobalBroadcastBaseline',
  'CentralReducerBaseline',
  'RandomPeerGossip',
  'KRegularGossip',
  'FixedTreeReduce',
  'RotatingRendezvousTree',
  'ReplicatedRendezvousDag',
  'LocalGossipPlusPeriodicGlobal',
  'MicrocohortReducePlusValidatorPromotion',
)
export type MergeStrategy = Infer<typeof MergeStrategy>

/** The policy of a merge window. */
export const MergeTopologyPolicy = record('MergeTopologyPolicy', {
  strategy: MergeStrategy,
  reducer_replication: u8,
  target_leaf_cohort: u16,
  upper_fanin: u8,
  window_duration_secs: u32,
  publish_jitter_ms: u32,
  staleness_windows: u16,
  promotion_policy: HeadPromotionPolicy,
})
export type MergeTopologyPolicy = Infer<typeof MergeTopologyPolicy>

/** The policy where neither a window nor the directory gives one. */
export const DEFAULT_MERGE_TOPOLOGY_POLICY: MergeTopologyPolicy = {
  strategy: 'ReplicatedRendezvousDag',
  reducer_replication: 2,
  target_leaf_cohort: 16,
  upper_fanin: 4,
  window_duration_secs: 300,
  publish_jitter_ms: 750,
  staleness_windows: 2,
  promotion_policy: {
    mode: 'ValidatorQuorum',
    validator_quorum: 2,
    diffusion: null,
    apply_single_root_ema: true,
    allow_late_rollover: true,
    promote_serve_head: true,
  },
}

/** An open window. The reference writes `closes_at` and never reads it. */
export const MergeWindowState = record('MergeWindowState', {
  merge_window_id: ContentId,
  network_id: NetworkId,
  study_id: StudyId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  window_id: WindowId,
  base_head_id: HeadId,
  policy: MergeTopologyPolicy,
  reducers: list(PeerId),
  validators: list(PeerId),
  opened_at: Timestamp,
  closes_at: Timestamp,
})
export type MergeWindowState = Infer<typeof MergeWindowState>

const windowHash = tuple(
  'merge window hash',
  NetworkId,
  StudyId,
  ExperimentId,
  RevisionId,
  WindowId,
  HeadId,
)

/** The id of a merge window. */
export function mergeWindowId(
  window: Pick<
    MergeWindowState,
    'network_id' | 'study_id' | 'experiment_id' | 'revision_id' | 'window_id' | 'base_head_id'
  >,
): ContentId {
  const { network_id, study_id, experiment_id, revision_id, window_id, base_head_id } = window
  return contentIdOf(windowHash, [
    network_id,
    study_id,
    experiment_id,
    revision_id,
    window_id,
    base_head_id,
  ])
}

/** Which peers reduce the update of a source in a window. */
export const ReducerAssignment = record('ReducerAssignment', {
  assignment_id: ContentId,
  window_id: WindowId,
  source_peer_id: PeerId,
  assigned_reducers: list(PeerId),
  repair_reducers: list(PeerId),
  upper_tier_reducers: list(PeerId),
  assigned_at: Timestamp,
})
export type ReducerAssignment = Infer<typeof ReducerAssignment>

/** Who reduces and validates in a window. */
export type AssignedPeers = Pick<
  ReducerAssignment,
  'source_peer_id' | 'assigned_reducers' | 'repair_reducers' | 'upper_tier_reducers'
>

const smallPoolHash = tuple(
  'reducer assignment hash, small pool',
  ContentId,
  PeerId,
  list(PeerId),
  list(PeerId),
  list(PeerId),
)
const poolHash = tuple('reducer assignment hash', ContentId, PeerId, list(PeerId), list(PeerId))

/**
 * The id of an assignment.
 *
 * @param isSmallPool whether there are fewer candidates than twice the replication: then the upper tier counts too
 */
export function reducerAssignmentId(
  mergeWindow: ContentId,
  peers: AssignedPeers,
  isSmallPool: boolean,
): ContentId {
  const { source_peer_id, assigned_reducers, repair_reducers, upper_tier_reducers } = peers
  if (!isSmallPool) {
    return contentIdOf(poolHash, [mergeWindow, source_peer_id, assigned_reducers, repair_reducers])
  }
  return contentIdOf(smallPoolHash, [
    mergeWindow,
    source_peer_id,
    assigned_reducers,
    repair_reducers,
    upper_tier_reducers,
  ])
}

const reducerScoreHash = tuple('reducer score hash', WindowId, PeerId, PeerId, text)

/** The score by which candidates are sorted as reducers of a source's update, lowest first. */
export function reducerScore(
  window: WindowId,
  source: PeerId,
  candidate: PeerId,
  tier: 'leaf' | 'upper',
): ContentId {
  return contentIdOf(reducerScoreHash, [window, source, candidate, tier])
}

const authorityHash = tuple('reducer authority hash', text, HeadId, WindowId, PeerId)

/** The score of a peer as the one reducer of a window with `ReducerAuthority`; the lowest is it. */
export function reducerAuthorityScore(base: HeadId, window: WindowId, peer: PeerId): ContentId {
  return contentIdOf(authorityHash, ['reducer-authority', base, window, peer])
}
