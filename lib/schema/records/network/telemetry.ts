/** What peers say of their load and of their windows (spec network-records#telemetry). */

import type { Infer } from '../../codec.js'
import { list, optional, record } from '../../containers.js'
import {
  ContentId,
  ExperimentId,
  HeadId,
  NetworkId,
  PeerId,
  RevisionId,
  WindowId,
} from '../../ids.js'
import { f64, text, u128, u32, u64 } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'
import { names, variants } from '../../variants.js'
import { PeerRole } from './roles.js'
import { SignatureMetadata } from './signed.js'

/** What a reducer had to do in a window. Byte counts are `bigint`. */
export const ReducerLoadReport = record('ReducerLoadReport', {
  peer_id: PeerId,
  window_id: WindowId,
  assigned_leaf_updates: u32,
  assigned_aggregate_inputs: u32,
  ingress_bytes: u128,
  egress_bytes: u128,
  duplicate_transfer_ratio: f64,
  overload_ratio: f64,
  reported_at: Timestamp,
})
export type ReducerLoadReport = Infer<typeof ReducerLoadReport>

/** Why metrics are announced. */
export const MetricsLiveEventKind = names(
  'MetricsLiveEventKind',
  'SnapshotRefresh',
  'LedgerAppend',
  'CatchupRefresh',
)
export type MetricsLiveEventKind = Infer<typeof MetricsLiveEventKind>

/** How far a peer's metrics of a revision reach. */
export const MetricsSyncCursor = record('MetricsSyncCursor', {
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  latest_snapshot_seq: optional(u64),
  latest_ledger_segment_seq: optional(u64),
  latest_head_id: optional(HeadId),
  latest_merge_window_id: optional(ContentId),
})
export type MetricsSyncCursor = Infer<typeof MetricsSyncCursor>

/** Says that there are new metrics. */
export const MetricsLiveEvent = record('MetricsLiveEvent', {
  network_id: NetworkId,
  kind: MetricsLiveEventKind,
  cursors: list(MetricsSyncCursor),
  generated_at: Timestamp,
})
export type MetricsLiveEvent = Infer<typeof MetricsLiveEvent>

/** What a peer computes with. */
export const BackendClass = variants('BackendClass', {
  Viewer: null,
  Cpu: null,
  Ndarray: null,
  Wgpu: null,
  Cuda: null,
  Rocm: null,
  Metal: null,
  BrowserWgpu: null,
  BrowserFallback: null,
  Custom: text,
})
export type BackendClass = Infer<typeof BackendClass>

/** How a peer's window ended. */
export const PeerWindowStatus = names(
  'PeerWindowStatus',
  'Completed',
  'Aborted',
  'Rejected',
  'Failed',
)
export type PeerWindowStatus = Infer<typeof PeerWindowStatus>

/** What a peer did in a window, for those who plan the next ones; times in milliseconds. */
export const PeerWindowPlacementHint = record('PeerWindowPlacementHint', {
  peer_id: PeerId,
  role: PeerRole,
  backend_class: BackendClass,
  status: PeerWindowStatus,
  accepted_tokens_or_samples: u64,
  window_elapsed_ms: u64,
  head_lag_at_finish: u64,
  window_finished_at: Timestamp,
})
export type PeerWindowPlacementHint = Infer<typeof PeerWindowPlacementHint>

/** A peer as a planner ranks it. */
export const FleetPlacementPeer = record('FleetPlacementPeer', {
  peer_id: PeerId,
  role: PeerRole,
  backend_class: BackendClass,
  recent_window_count: u64,
  completed_window_count: u64,
  recent_failure_streak: u64,
  latest_status: PeerWindowStatus,
  latest_finished_at: Timestamp,
  weighted_health: f64,
  weighted_head_lag: f64,
  weighted_throughput: f64,
  trust_score: f64,
  recommended_budget_scale: f64,
  recommended_microshard_scale: f64,
})
export type FleetPlacementPeer = Infer<typeof FleetPlacementPeer>

/** A planner's view of the fleet. What it signs is this record with no signature. */
export const FleetPlacementSnapshot = record('FleetPlacementSnapshot', {
  network_id: NetworkId,
  planner_peer_id: PeerId,
  generated_at: Timestamp,
  freshness_secs: u32,
  retained_hint_windows: u32,
  selected_peer_ids: list(PeerId),
  ranked_candidates: list(FleetPlacementPeer),
  planner_version: text,
  signature_bundle: list(SignatureMetadata),
})
export type FleetPlacementSnapshot = Infer<typeof FleetPlacementSnapshot>
