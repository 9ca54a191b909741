/**
 * The kinds of announcements: where each stands in a snapshot, how many are kept, and which two are the same
 * (spec network#snapshot).
 */

import { createHash } from 'node:crypto'

import { compareTimestamps, compareUtf8, type Timestamp } from '../schema/index.js'
import {
  comparePeerRoles,
  type ControlPlaneSnapshot,
  payloadFingerprint,
  PubsubPayload,
  type HeadAnnouncement,
  type PeerDirectoryAnnouncement,
  type PubsubKind,
  type UpdateEnvelopeAnnouncement,
} from '../schema/records/network/index.js'
import { MAX_ADDRESSES_PER_PEER } from './limits.js'

/** The record of a kind of announcement. */
export type AnnouncementOf<K extends PubsubKind> =
  Extract<PubsubPayload, Readonly<Record<K, unknown>>> extends Readonly<Record<K, infer R>>
    ? R
    : never

/** The name of a list of a snapshot. */
export type SnapshotList = keyof ControlPlaneSnapshot

/** What is to know about a kind. */
export interface KindRules<R> {
  readonly list: SnapshotList
  /** Most records that are kept. */
  readonly cap: number
  /** Windows of an overlay whose records are kept, the latest ones; of other kinds all are. */
  readonly windows?: (record: R) => { readonly overlay: string; readonly window: number }
  /** What two records have in common that are the same one. */
  readonly key: (record: R) => string
  /** The record as it is kept: sorted id lists. */
  readonly normal?: (record: R) => R
  /** What becomes of a known record when another of the same key comes; the known one itself when nothing does. */
  readonly merge?: (known: R, next: R) => R
}

const sortedIds = <T extends string>(ids: readonly T[]): T[] => [...new Set(ids)].sort(compareUtf8)

const later = (a: Timestamp, b: Timestamp): boolean => compareTimestamps(a, b) > 0

/** The same record in every field. */
function wholeRecord(kind: PubsubKind): (record: unknown) => string {
  return (record) => {
    const bytes = PubsubPayload.toWireCbor({ [kind]: record } as unknown as PubsubPayload)
    return createHash('sha256').update(bytes).digest('base64')
  }
}

/** The fields that the reference makes the message id of. */
function fingerprint(kind: PubsubKind): (record: unknown) => string {
  return (record) => payloadFingerprint({ [kind]: record } as unknown as PubsubPayload) ?? ''
}

const joined = (...parts: readonly (string | number)[]) => JSON.stringify(parts)

type Table = { readonly [K in PubsubKind]: KindRules<AnnouncementOf<K>> }

/** The rules of every kind. */
export const KINDS: Table = {
  Control: { list: 'control_announcements', cap: 64, key: wholeRecord('Control') },
  Lifecycle: { list: 'lifecycle_announcements', cap: 64, key: wholeRecord('Lifecycle') },
  Schedule: { list: 'schedule_announcements', cap: 64, key: wholeRecord('Schedule') },
  Head: {
    list: 'head_announcements',
    cap: 256,
    key: ({ overlay, provider_peer_id, head }) =>
      joined(overlay.path, provider_peer_id ?? '', head.head_id, head.artifact_id),
    merge: laterHead,
  },
  Lease: { list: 'lease_announcements', cap: 128, key: wholeRecord('Lease') },
  Merge: {
    list: 'merge_announcements',
    cap: 256,
    key: ({ overlay, certificate }) =>
      joined(overlay.path, certificate.merged_head_id, certificate.promoter_peer_id),
  },
  MergeWindow: { list: 'merge_window_announcements', cap: 128, key: wholeRecord('MergeWindow') },
  ReducerAssignment: {
    list: 'reducer_assignment_announcements',
    cap: 128,
    key: wholeRecord('ReducerAssignment'),
  },
  Update: {
    list: 'update_announcements',
    cap: 256,
    key: wholeRecord('Update'),
    normal: withSortedIds,
  },
  AggregateProposal: {
    list: 'aggregate_proposal_announcements',
    cap: 256,
    windows: ({ overlay, proposal }) => ({ overlay: overlay.path, window: proposal.window_id }),
    key: ({ overlay, proposal }) => joined(overlay.path, proposal.aggregate_id),
    merge: mergedProposal,
  },
  ReductionCertificate: {
    list: 'reduction_certificate_announcements',
    cap: 256,
    windows: ofCertificate,
    key: ({ overlay, certificate }) =>
      joined(overlay.path, certificate.aggregate_id, certificate.promoter_peer_id),
  },
  ValidationQuorum: {
    list: 'validation_quorum_announcements',
    cap: 128,
    windows: ofCertificate,
    key: ({ overlay, certificate }) => joined(overlay.path, certificate.aggregate_id),
  },
  TrainerPromotionAttestation: {
    list: 'trainer_promotion_attestation_announcements',
    cap: 256,
    key: ({ overlay, attestation: of }) =>
      joined(
        overlay.path,
        ...[of.study_id, of.experiment_id, of.revision_id, of.window_id, of.base_head_id],
        of.attester_peer_id,
      ),
    merge: (known, next) => (later(next.announced_at, known.announced_at) ? next : known),
  },
  DiffusionPromotionCertificate: {
    list: 'diffusion_promotion_certificate_announcements',
    cap: 128,
    key: fingerprint('DiffusionPromotionCertificate'),
  },
  ReducerLoad: { list: 'reducer_load_announcements', cap: 128, key: wholeRecord('ReducerLoad') },
  Auth: { list: 'auth_announcements', cap: 128, key: wholeRecord('Auth') },
  Directory: { list: 'directory_announcements', cap: 16, key: wholeRecord('Directory') },
  PeerDirectory: {
    list: 'peer_directory_announcements',
    cap: 256,
    key: ({ network_id, peer_id }) => joined(network_id, peer_id),
    merge: mergedDirectory,
  },
  Metrics: { list: 'metrics_announcements', cap: 64, key: wholeRecord('Metrics') },
}

/** The kinds in the order of their lists in a snapshot. */
export const KINDS_IN_ORDER: readonly PubsubKind[] = [
  ...(['Control', 'Lifecycle', 'Schedule', 'Head', 'Lease', 'Merge', 'MergeWindow'] as const),
  ...(['ReducerAssignment', 'Update', 'AggregateProposal', 'ReductionCertificate'] as const),
  ...(['ValidationQuorum', 'TrainerPromotionAttestation'] as const),
  ...(['DiffusionPromotionCertificate', 'ReducerLoad', 'Auth', 'Directory'] as const),
  ...(['PeerDirectory', 'Metrics'] as const),
]

function ofCertificate(record: {
  readonly overlay: { readonly path: string }
  readonly certificate: { readonly window_id: number }
}) {
  return { overlay: record.overlay.path, window: record.certificate.window_id }
}

function laterHead(known: HeadAnnouncement, next: HeadAnnouncement): HeadAnnouncement {
  return later(next.announced_at, known.announced_at) ? next : known
}

function withSortedIds(record: UpdateEnvelopeAnnouncement): UpdateEnvelopeAnnouncement {
  const { receipt_ids, providers } = record.update
  const update = {
    ...record.update,
    receipt_ids: sortedIds(receipt_ids),
    providers: sortedIds(providers),
  }
  return { ...record, update }
}

type Proposal = AnnouncementOf<'AggregateProposal'>

/** The same aggregate, known from one more side; another aggregate under the same id is ignored. */
function mergedProposal(known: Proposal, next: Proposal): Proposal {
  const [a, b] = [known.proposal, next.proposal]
  const same =
    a.base_head_id === b.base_head_id &&
    a.aggregate_artifact_id === b.aggregate_artifact_id &&
    a.window_id === b.window_id
  if (!same) return known
  const union = {
    providers: sortedIds([...a.providers, ...b.providers]),
    contributor_peers: sortedIds([...a.contributor_peers, ...b.contributor_peers]),
    child_aggregate_ids: sortedIds([...a.child_aggregate_ids, ...b.child_aggregate_ids]),
  }
  const isNews = (['providers', 'contributor_peers', 'child_aggregate_ids'] as const).some(
    (field) => union[field].length > a[field].length,
  )
  return isNews ? { ...known, proposal: { ...a, ...union } } : known
}

/** A peer's addresses and roles from all that was heard of it; the newest addresses where there are too many. */
function mergedDirectory(
  known: PeerDirectoryAnnouncement,
  next: PeerDirectoryAnnouncement,
): PeerDirectoryAnnouncement {
  const isLater = later(next.announced_at, known.announced_at)
  const [newest, older] = isLater ? [next, known] : [known, next]
  const addresses = [...new Set([...newest.addresses, ...older.addresses])].slice(
    0,
    MAX_ADDRESSES_PER_PEER,
  )
  const roles = [
    ...new Set([...(known.advertised_roles?.roles ?? []), ...(next.advertised_roles?.roles ?? [])]),
  ].sort(comparePeerRoles)
  const isSame =
    !isLater &&
    addresses.length === known.addresses.length &&
    roles.length === (known.advertised_roles?.roles.length ?? 0)
  if (isSame) return known
  return {
    ...newest,
    addresses: sortedIds(addresses),
    advertised_roles: roles.length > 0 ? { roles } : null,
  }
}
