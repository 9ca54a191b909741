/**
 * What the roles of an experiment announce to their swarm, and what they read out of what others announced
 * (spec network-records#announcements). Pure: what a peer says is checked to be of this experiment, and no more.
 */

import {
  contentIdOf,
  ContributionReceiptId,
  list,
  timestampNow,
  type ContributionReceipt,
  type HeadDescriptor,
  type HeadId,
  type Metrics,
  type PeerId,
} from '../schema/index.js'
import {
  experimentOverlay,
  mergeCertId,
  type KnownAnnouncements,
  type PubsubPayload,
  type UpdateAnnounce,
} from '../swarm/index.js'
import { mergedHeadId, windowHeadId, type Experiment } from './experiment.js'

/** What a trainer tells of a window. */
interface AnnouncedWindow {
  readonly peer_id: PeerId
  readonly head: HeadDescriptor
  readonly receipt: ContributionReceipt
  readonly quality_weight: number
  readonly lease: { readonly lease_id: string; readonly window_id: number }
}

/** A head and who has its artifact. */
export interface OfferedHead {
  readonly head: HeadDescriptor
  readonly providers: readonly PeerId[]
}

/** That a peer offers a head's artifact. */
export function headAnnouncement(
  experiment: Experiment,
  provider: PeerId,
  head: HeadDescriptor,
): PubsubPayload {
  const overlay = experimentOverlay(experiment, 'Heads')
  return { Head: { overlay, provider_peer_id: provider, head, announced_at: timestampNow() } }
}

/** That a window is to be merged. */
export function updateAnnouncement(
  experiment: Experiment,
  { peer_id, head, receipt, quality_weight, lease }: AnnouncedWindow,
): PubsubPayload {
  const { study_id, experiment_id, revision_id } = experiment
  const receipt_ids = [receipt.receipt_id]
  const update: UpdateAnnounce = {
    peer_id,
    study_id,
    experiment_id,
    revision_id,
    window_id: lease.window_id,
    base_head_id: receipt.base_head_id,
    lease_id: lease.lease_id,
    delta_artifact_id: head.artifact_id,
    sample_weight: receipt.accepted_weight,
    quality_weight,
    norm_stats: normOf(head.metrics),
    feature_sketch: null,
    receipt_root: contentIdOf(list(ContributionReceiptId), receipt_ids),
    receipt_ids,
    providers: [peer_id],
    announced_at: timestampNow(),
  }
  return { Update: { overlay: experimentOverlay(experiment, 'Heads'), update } }
}

/** That a head has been promoted; with its `Head`, what makes it canonical to others. */
export function mergeAnnouncement(
  experiment: Experiment,
  promoter: PeerId,
  head: HeadDescriptor,
  baseHeadId: HeadId,
  receipts: readonly ContributionReceiptId[],
): PubsubPayload {
  const { study_id, experiment_id, revision_id, merge_policy } = experiment
  const of = {
    ...{ study_id, experiment_id, revision_id, base_head_id: baseHeadId },
    ...{ merged_head_id: head.head_id, promoter_peer_id: promoter },
  }
  const issued = timestampNow()
  return {
    Merge: {
      overlay: experimentOverlay(experiment, 'Heads'),
      certificate: {
        ...of,
        merge_cert_id: mergeCertId(of),
        merged_artifact_id: head.artifact_id,
        policy: merge_policy,
        issued_at: issued,
        promotion_mode: 'ValidatorQuorum',
        contribution_receipts: [...receipts],
      },
      announced_at: issued,
    },
  }
}

/**
 * The head that is canonical by what is known: the promoted one of the highest step, else a genesis; null without
 * either. Of equal steps, that of the smaller head id, then of the smaller artifact id, on every peer alike. A promotion counts
 * only over the head's own parent, and one step above it where that is known: a peer may announce any number.
 */
export function canonicalHead(
  known: KnownAnnouncements,
  experiment: Experiment,
): OfferedHead | null {
  const promoted = new Set<string>()
  for (const { certificate } of known.of('Merge')) {
    if (!isOf(experiment, certificate)) continue
    const { merged_head_id: head_id, merged_artifact_id: artifact_id, base_head_id } = certificate
    promoted.add(promotionKey({ head_id, artifact_id }, base_head_id))
  }
  const heads = known.of('Head').flatMap(({ head }) => (isOf(experiment, head) ? head : []))
  const steps = new Map<HeadId, Set<number>>()
  for (const { head_id, global_step } of heads) {
    steps.set(head_id, (steps.get(head_id) ?? new Set()).add(global_step))
  }
  let best: HeadDescriptor | null = null
  for (const head of heads) {
    const parent = head.parent_head_id
    if (parent === null) {
      if (head.global_step !== 0) continue
    } else {
      if (!promoted.has(promotionKey(head, parent))) continue
      const before = steps.get(parent)
      if (before !== undefined && !before.has(head.global_step - 1)) continue
    }
    if (best === null || isBefore(head, best)) best = head
  }
  return best === null ? null : { head: best, providers: providersOf(known, best) }
}

/** The peers that announced to have a head's artifact. */
export function providersOf(known: KnownAnnouncements, head: HeadDescriptor): PeerId[] {
  const providers = new Set<PeerId>()
  for (const { head: other, provider_peer_id } of known.of('Head')) {
    if (provider_peer_id === null || other.artifact_id !== head.artifact_id) continue
    providers.add(provider_peer_id)
  }
  return [...providers]
}

/** A window that a peer announced. */
export interface AnnouncedUpdate extends OfferedHead {
  readonly update: UpdateAnnounce
}

/**
 * The updates over a base up to a window, the last of each peer, by peer id. An update whose head was not announced gets
 * the head that its trainer would have named.
 */
export function announcedUpdates(
  known: KnownAnnouncements,
  experiment: Experiment,
  window: number,
  base: HeadDescriptor,
): AnnouncedUpdate[] {
  const latest = new Map<PeerId, UpdateAnnounce>()
  for (const { update } of known.of('Update')) {
    if (!isOf(experiment, update)) continue
    if (update.window_id > window || update.base_head_id !== base.head_id) continue
    if ((latest.get(update.peer_id)?.window_id ?? 0) > update.window_id) continue
    latest.set(update.peer_id, update)
  }
  const heads = known.of('Head')
  return [...latest.values()]
    .sort((a, b) => (a.peer_id < b.peer_id ? -1 : 1))
    .map((update) => {
      const announced = heads.find(
        ({ head }) =>
          isOf(experiment, head) &&
          head.parent_head_id === base.head_id &&
          head.artifact_id === update.delta_artifact_id,
      )
      const head = announced?.head ?? headOfUpdate(experiment, update, base)
      const providers = new Set([...update.providers, ...providersOf(known, head)])
      return { update, head, providers: [...providers] }
    })
}

function headOfUpdate(
  experiment: Experiment,
  update: UpdateAnnounce,
  base: HeadDescriptor,
): HeadDescriptor {
  const { study_id, experiment_id, revision_id } = experiment
  return {
    head_id: windowHeadId(experiment, update.peer_id, update.window_id),
    study_id,
    experiment_id,
    revision_id,
    artifact_id: update.delta_artifact_id,
    parent_head_id: base.head_id,
    global_step: base.global_step + 1,
    created_at: update.announced_at,
    metrics: {},
  }
}

/** The receipt of an update that was announced. */
export function receiptOf(
  experiment: Experiment,
  { update, head }: AnnouncedUpdate,
): ContributionReceipt {
  const { study_id, experiment_id, revision_id } = experiment
  return {
    receipt_id:
      update.receipt_ids[0] ?? `${mergedHeadId(experiment, update.window_id)}-${update.peer_id}`,
    peer_id: update.peer_id,
    study_id,
    experiment_id,
    revision_id,
    base_head_id: update.base_head_id,
    artifact_id: update.delta_artifact_id,
    accepted_at: update.announced_at,
    accepted_weight: update.sample_weight,
    metrics: head.metrics,
    merge_cert_id: null,
  }
}

interface Scope {
  readonly study_id: string
  readonly experiment_id: string
  readonly revision_id: string
}

/** Whether a record is of the experiment. */
export function isOf(experiment: Experiment, scope: Scope): boolean {
  return (
    scope.study_id === experiment.study_id &&
    scope.experiment_id === experiment.experiment_id &&
    scope.revision_id === experiment.revision_id
  )
}

function isBefore(head: HeadDescriptor, other: HeadDescriptor): boolean {
  if (head.global_step !== other.global_step) return head.global_step > other.global_step
  if (head.head_id !== other.head_id) return head.head_id < other.head_id
  return head.artifact_id < other.artifact_id
}

function promotionKey(
  { head_id, artifact_id }: Pick<HeadDescriptor, 'head_id' | 'artifact_id'>,
  base: HeadId,
): string {
  return JSON.stringify([head_id, artifact_id, base])
}

/** A head as a text that no other has: two peers may promote different heads of one name. */
export function headKey({
  head_id,
  artifact_id,
}: Pick<HeadDescriptor, 'head_id' | 'artifact_id'>): string {
  return JSON.stringify([head_id, artifact_id])
}

/** Of the metrics that are numbers, as the reference computes it (spec network-records#updates). */
function normOf(metrics: Metrics): UpdateAnnounce['norm_stats'] {
  const values = Object.values(metrics)
    .filter((value) => typeof value === 'number' || typeof value === 'bigint')
    .map((value) => Math.abs(Number(value)))
    .filter((value) => Number.isFinite(value))
  return {
    l2_norm: Math.hypot(...values),
    max_abs: Math.max(0, ...values),
    clipped: false,
    non_finite_tensors: 0,
  }
}
