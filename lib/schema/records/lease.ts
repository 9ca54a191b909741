/** Leases, their receipts, and the hashes that order and name them (spec formats#records, formats#derived-ids and planning#leases to planning#receipts). */

import type { Infer } from '../codec.js'
import { list, record, tuple } from '../containers.js'
import { contentIdOf } from '../content-id.js'
import {
  ContentId,
  DatasetViewId,
  ExperimentId,
  LeaseId,
  MicroShardId,
  NetworkId,
  PeerId,
  RevisionId,
  StudyId,
  WindowId,
} from '../ids.js'
import { i64, u64 } from '../primitives.js'
import { Timestamp } from '../timestamp.js'
import { names } from '../variants.js'
import { MicroShard } from './dataset.js'

/** A peer's right to train on some microshards in one window. `microshards` is in selection order. */
export const AssignmentLease = record('AssignmentLease', {
  lease_id: LeaseId,
  network_id: NetworkId,
  study_id: StudyId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  peer_id: PeerId,
  dataset_view_id: DatasetViewId,
  window_id: WindowId,
  granted_at: Timestamp,
  expires_at: Timestamp,
  budget_work_units: u64,
  microshards: list(MicroShardId),
  assignment_hash: ContentId,
})
export type AssignmentLease = Infer<typeof AssignmentLease>

/** The microshards that a planner chose for a peer, with their estimated sizes. */
export const LeaseSelection = record('LeaseSelection', {
  microshards: list(MicroShard),
  budget_work_units: u64,
  estimated_work_units: u64,
  estimated_examples: u64,
  estimated_tokens: u64,
  estimated_bytes: u64,
})
export type LeaseSelection = Infer<typeof LeaseSelection>

/** A lease with the selection that it was made of. */
export const PlannedLease = record('PlannedLease', {
  lease: AssignmentLease,
  selection: LeaseSelection,
})
export type PlannedLease = Infer<typeof PlannedLease>

/** How many units of a measure make one unit of work (spec planning#leases). */
export const ShardCostModel = record('ShardCostModel', {
  tokens_per_work_unit: u64,
  examples_per_work_unit: u64,
  bytes_per_work_unit: u64,
  minimum_work_units: u64,
})
export type ShardCostModel = Infer<typeof ShardCostModel>

/** How long leases last, how many microshards one holds, and what work costs. */
export const LeasePlannerConfig = record('LeasePlannerConfig', {
  lease_duration_seconds: i64,
  max_microshards_per_lease: u64,
  cost_model: ShardCostModel,
})
export type LeasePlannerConfig = Infer<typeof LeasePlannerConfig>

/** What became of the work under a lease. */
export const WorkDisposition = names(
  'WorkDisposition',
  'Accepted',
  'Rejected',
  'Partial',
  'Expired',
)
export type WorkDisposition = Infer<typeof WorkDisposition>

/** Proof of work under a lease. `microshards` are all of the lease's, in its order. */
export const DataReceipt = record('DataReceipt', {
  receipt_id: ContentId,
  lease_id: LeaseId,
  peer_id: PeerId,
  completed_at: Timestamp,
  microshards: list(MicroShardId),
  examples_processed: u64,
  tokens_processed: u64,
  disposition: WorkDisposition,
})
export type DataReceipt = Infer<typeof DataReceipt>

const rankingHash = tuple('lease ranking hash', PeerId, MicroShardId)

/** The score by which a lease planner ranks a microshard for a peer, highest first (spec planning#leases). */
export function leaseRankingScore(peer: PeerId, microshard: MicroShardId): ContentId {
  return contentIdOf(rankingHash, [peer, microshard])
}

const samplerHash = tuple('sampler hash', WindowId, MicroShardId)

/** The score by which a sampler orders a lease's microshards, highest first (spec planning#sampling). */
export function samplerScore(window: WindowId, microshard: MicroShardId): ContentId {
  return contentIdOf(samplerHash, [window, microshard])
}

const leaseHash = tuple(
  'LeaseId hash',
  NetworkId,
  StudyId,
  ExperimentId,
  RevisionId,
  PeerId,
  DatasetViewId,
  WindowId,
  list(MicroShardId),
)

/** The id of a lease: who may train on what, and when (spec formats#derived-ids). */
export function leaseId(
  lease: Omit<
    AssignmentLease,
    'lease_id' | 'granted_at' | 'expires_at' | 'budget_work_units' | 'assignment_hash'
  >,
): LeaseId {
  const id: string = contentIdOf(leaseHash, [
    lease.network_id,
    lease.study_id,
    lease.experiment_id,
    lease.revision_id,
    lease.peer_id,
    lease.dataset_view_id,
    lease.window_id,
    lease.microshards,
  ])
  return id
}

const assignmentHashTuple = tuple(
  'assignment hash',
  LeaseId,
  NetworkId,
  StudyId,
  ExperimentId,
  RevisionId,
  PeerId,
  DatasetViewId,
  WindowId,
  Timestamp,
  Timestamp,
  u64,
  list(MicroShardId),
)

/** The hash over everything else in a lease (spec formats#derived-ids). */
export function assignmentHash(lease: Omit<AssignmentLease, 'assignment_hash'>): ContentId {
  return contentIdOf(assignmentHashTuple, [
    lease.lease_id,
    lease.network_id,
    lease.study_id,
    lease.experiment_id,
    lease.revision_id,
    lease.peer_id,
    lease.dataset_view_id,
    lease.window_id,
    lease.granted_at,
    lease.expires_at,
    lease.budget_work_units,
    lease.microshards,
  ])
}

const dataReceiptHash = tuple(
  'data receipt hash',
  LeaseId,
  PeerId,
  Timestamp,
  u64,
  u64,
  WorkDisposition,
  list(MicroShardId),
)

/** The id of a data receipt, from everything else in it (spec formats#derived-ids). */
export function dataReceiptId(receipt: Omit<DataReceipt, 'receipt_id'>): ContentId {
  return contentIdOf(dataReceiptHash, [
    receipt.lease_id,
    receipt.peer_id,
    receipt.completed_at,
    receipt.examples_processed,
    receipt.tokens_processed,
    receipt.disposition,
    receipt.microshards,
  ])
}
