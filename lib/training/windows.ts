/**
 * Windows as the peers of an experiment announce them: which one is open over a head, who trains in it, and on what
 * (spec network-roles#windows). Pure.
 */

import {
  addSeconds,
  compareTimestamps,
  compareUtf8,
  timestampNow,
  type AssignmentLease,
  type HeadDescriptor,
  type MicroShard,
  type PeerId,
} from '../schema/index.js'
import {
  DEFAULT_MERGE_TOPOLOGY_POLICY,
  experimentOverlay,
  mergeWindowId,
  type KnownAnnouncements,
  type PubsubPayload,
  type Swarm,
  type SwarmPeer,
} from '../swarm/index.js'
import { headKey, isOf } from './announcements.js'
import type { Experiment } from './experiment.js'

/** Windows beyond the one after a head's step that are believed: peers may have trained that many on heads of their own. */
const MAX_WINDOW_LEAD = 16

/** Windows for which a peer that has not been heard of any more is still counted on. */
const RECENT_WINDOWS = 8

/** That a peer trains on some microshards. */
export function leaseAnnouncement(experiment: Experiment, lease: AssignmentLease): PubsubPayload {
  const overlay = experimentOverlay(experiment, 'Leases')
  return { Lease: { overlay, lease, announced_at: timestampNow() } }
}

/** That a window is open over a head. */
export function mergeWindowAnnouncement(
  experiment: Experiment,
  window: number,
  base: HeadDescriptor,
  validators: readonly PeerId[],
): PubsubPayload {
  const { network_id, study_id, experiment_id, revision_id } = experiment
  const of = { network_id, study_id, experiment_id, revision_id }
  const identified = { ...of, window_id: window, base_head_id: base.head_id }
  const policy = DEFAULT_MERGE_TOPOLOGY_POLICY
  const opened_at = timestampNow()
  return {
    MergeWindow: {
      overlay: experimentOverlay(experiment, 'Heads'),
      merge_window: {
        merge_window_id: mergeWindowId(identified),
        ...identified,
        policy,
        reducers: [],
        validators: [...validators].sort(compareUtf8),
        opened_at,
        closes_at: addSeconds(opened_at, policy.window_duration_secs),
      },
      announced_at: opened_at,
    },
  }
}

/**
 * The window to train or to merge over a head: the highest that is announced for it, within reason, at least the one
 * after its step.
 */
export function windowOver(
  known: KnownAnnouncements,
  experiment: Experiment,
  base: HeadDescriptor,
): number {
  const first = base.global_step + 1
  let window = first
  const see = (announced: number) => {
    if (announced > window && announced <= first + MAX_WINDOW_LEAD) window = announced
  }
  for (const { merge_window } of known.of('MergeWindow')) {
    if (isOf(experiment, merge_window) && merge_window.base_head_id === base.head_id)
      see(merge_window.window_id)
  }
  for (const { update } of known.of('Update')) {
    if (isOf(experiment, update) && update.base_head_id === base.head_id) see(update.window_id)
  }
  return window
}

/** Whether a window is announced as open over a head. */
export function isWindowOpen(
  known: KnownAnnouncements,
  experiment: Experiment,
  window: number,
  base: HeadDescriptor,
): boolean {
  return known
    .of('MergeWindow')
    .some(
      ({ merge_window: of }) =>
        isOf(experiment, of) && of.window_id === window && of.base_head_id === base.head_id,
    )
}

/** The leases of a window that have not expired, the last of each peer. */
export function leasesOf(
  known: KnownAnnouncements,
  experiment: Experiment,
  window: number,
): Map<PeerId, AssignmentLease> {
  const leases = new Map<PeerId, AssignmentLease>()
  const now = timestampNow()
  for (const { lease } of known.of('Lease')) {
    if (!isOf(experiment, lease) || lease.window_id !== window) continue
    if (compareTimestamps(lease.expires_at, now) > 0) leases.set(lease.peer_id, lease)
  }
  return leases
}

/**
 * What a peer may lease so that no two do the same work: its share by its place among the trainers that it knows of, without
 * what others hold in the window; when nothing is left of that, whatever is free; everything when nothing is.
 */
export function freeMicroshards(
  swarm: Swarm,
  experiment: Experiment,
  window: number,
  microshards: readonly MicroShard[],
): readonly MicroShard[] {
  const leases = leasesOf(swarm.announcements, experiment, window)
  leases.delete(swarm.peerId)
  const held = new Set([...leases.values()].flatMap((lease) => lease.microshards))
  const reachable = swarm.peers.filter(isTrainer).map(({ peerId }) => peerId)
  const trainers = [...new Set([swarm.peerId, ...reachable, ...leases.keys()])].sort(compareUtf8)
  const place = trainers.indexOf(swarm.peerId)
  const isFree = ({ microshard_id }: MicroShard) => !held.has(microshard_id)
  // Every window another share: who always trained on the same would learn that by heart, and the rest not at all.
  const isOwn = (index: number) => (index + window) % trainers.length === place
  const share = microshards.filter((_, index) => isOwn(index)).filter(isFree)
  if (share.length > 0) return share
  const free = microshards.filter(isFree)
  return free.length > 0 ? free : microshards
}

/** The peers that can be reached now and may promote, this one among them when it may, the first in rank first. */
export function validatorsOf(swarm: Swarm, isValidator: boolean): PeerId[] {
  const others = swarm.peers.filter(({ roles }) => roles?.includes('Validator') === true)
  const ids = others.map(({ peerId }) => peerId)
  return [...ids, ...(isValidator ? [swarm.peerId] : [])].sort(compareUtf8)
}

/**
 * The peers that took part recently: whose updates or promotions of the last windows up to a head are known. Without half of
 * them within reach a peer cannot tell whether the others have gone or go on without it.
 */
export function participants(
  known: KnownAnnouncements,
  experiment: Experiment,
  base: HeadDescriptor,
): Set<PeerId> {
  const since = base.global_step - RECENT_WINDOWS
  const found = new Set<PeerId>()
  for (const { update } of known.of('Update')) {
    if (isOf(experiment, update) && update.window_id > since) found.add(update.peer_id)
  }
  const steps = new Map<string, number>()
  for (const { head } of known.of('Head')) {
    if (isOf(experiment, head)) steps.set(headKey(head), head.global_step)
  }
  for (const { certificate } of known.of('Merge')) {
    if (!isOf(experiment, certificate)) continue
    const { merged_head_id: head_id, merged_artifact_id: artifact_id } = certificate
    if ((steps.get(headKey({ head_id, artifact_id })) ?? -Infinity) > since)
      found.add(certificate.promoter_peer_id)
  }
  return found
}

/** Whether a peer says that it trains. */
export function isTrainer({ roles }: SwarmPeer): boolean {
  return roles?.some((role) => role.startsWith('Trainer')) === true
}
