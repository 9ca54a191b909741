/** Updates that trainers announce (spec network-records#updates). */

import type { Infer } from '../../codec.js'
import { list, map, optional, record, skipNull } from '../../containers.js'
import {
  ArtifactId,
  ContentId,
  ContributionReceiptId,
  ExperimentId,
  HeadId,
  LeaseId,
  PeerId,
  RevisionId,
  StudyId,
  WindowId,
} from '../../ids.js'
import { bool, f64, i8, u32, u64 } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'

/** The size of an update. The reference computes it from the report's metrics, not from the weights. */
export const UpdateNormStats = record('UpdateNormStats', {
  l2_norm: f64,
  max_abs: f64,
  clipped: bool,
  non_finite_tensors: u32,
})
export type UpdateNormStats = Infer<typeof UpdateNormStats>

/** What screening compares updates by. Similarities are `null` where there is nothing to compare with. */
export const UpdateFeatureSketch = record('UpdateFeatureSketch', {
  artifact_size_bytes: u64,
  global_norm: f64,
  per_layer_norms: map(f64),
  random_projection: list(f64),
  sign_projection: list(i8),
  top_k_indices: list(u32),
  cosine_to_reference: optional(f64),
  sign_agreement_fraction: optional(f64),
  canary_loss_delta: optional(f64),
  historical_deviation_score: optional(f64),
  neighbor_distance: optional(f64),
  staleness_windows: u32,
  receive_delay_ms: u64,
  non_finite_tensor_count: u32,
})
export type UpdateFeatureSketch = Infer<typeof UpdateFeatureSketch>

/** A trained model that asks to be merged. `delta_artifact_id` names a whole model, not a delta. */
export const UpdateAnnounce = record('UpdateAnnounce', {
  peer_id: PeerId,
  study_id: StudyId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  window_id: WindowId,
  base_head_id: HeadId,
  lease_id: skipNull(LeaseId),
  delta_artifact_id: ArtifactId,
  sample_weight: f64,
  quality_weight: f64,
  norm_stats: UpdateNormStats,
  feature_sketch: skipNull(UpdateFeatureSketch),
  receipt_root: ContentId,
  receipt_ids: list(ContributionReceiptId),
  providers: list(PeerId),
  announced_at: Timestamp,
})
export type UpdateAnnounce = Infer<typeof UpdateAnnounce>
