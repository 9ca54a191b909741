/** What a workload is, can do, and reports (spec project#operations, formats#enums and formats#records). */

import type { Infer } from '../codec.js'
import { list, optional, record } from '../containers.js'
import { ContentId, WorkloadId } from '../ids.js'
import { f64, text, u32, u64 } from '../primitives.js'
import { Timestamp } from '../timestamp.js'
import { Metrics } from '../values.js'
import { variants } from '../variants.js'
import { ContributionReceipt } from './head.js'

/** What a peer can do: work units per second, and seconds per window. */
export const CapabilityEstimate = record('CapabilityEstimate', {
  preferred_backends: list(text),
  work_units_per_second: f64,
  target_window_seconds: u64,
})
export type CapabilityEstimate = Infer<typeof CapabilityEstimate>

/** A workload that a peer offers to train, and what it needs. */
export const SupportedWorkload = record('SupportedWorkload', {
  workload_id: WorkloadId,
  workload_name: text,
  model_program_hash: ContentId,
  checkpoint_format_hash: ContentId,
  supported_revision_family: text,
  resource_class: text,
})
export type SupportedWorkload = Infer<typeof SupportedWorkload>

/**
 * A supported workload; the revision family defaults to `<workload_id>-revision-family`, the resource class to
 * `standard`.
 */
export function supportedWorkload(
  workload: Omit<SupportedWorkload, 'supported_revision_family' | 'resource_class'> &
    Partial<SupportedWorkload>,
): SupportedWorkload {
  return {
    supported_revision_family: `${workload.workload_id}-revision-family`,
    resource_class: 'standard',
    ...workload,
  }
}

/** The part of a dataset that a model is evaluated on. */
export const EvalSplit = variants('EvalSplit', {
  Train: null,
  Validation: null,
  Test: null,
  Custom: text,
})
export type EvalSplit = Infer<typeof EvalSplit>

/** How a trainer takes over a new canonical head; `canonical_weight` is the incoming model's share, 0 to 1. */
export const TrainerCanonicalReconcileStrategy = variants('TrainerCanonicalReconcileStrategy', {
  Replace: null,
  RootEma: record('RootEma', { canonical_weight: f64 }),
})
export type TrainerCanonicalReconcileStrategy = Infer<typeof TrainerCanonicalReconcileStrategy>

/** How far a trainer may run ahead of the canonical head; times in milliseconds. */
export const ContinuousTrainerPolicy = record('ContinuousTrainerPolicy', {
  canonical_reconcile: TrainerCanonicalReconcileStrategy,
  max_speculative_windows: u32,
  canonical_visibility_wait_ms: u64,
})
export type ContinuousTrainerPolicy = Infer<typeof ContinuousTrainerPolicy>

/** The policy of a trainer that was told nothing else (spec formats#records). */
export const DEFAULT_CONTINUOUS_TRAINER_POLICY: ContinuousTrainerPolicy = {
  canonical_reconcile: { RootEma: { canonical_weight: 0.25 } },
  max_speculative_windows: 2,
  canonical_visibility_wait_ms: 750,
}

/** The result of an evaluation. */
export const MetricReport = record('MetricReport', { metrics: Metrics, captured_at: Timestamp })
export type MetricReport = Infer<typeof MetricReport>

/** The result of a training window. `contribution` is for parity with the reference: always null, as a trainer makes the receipt. */
export const WindowReport = record('WindowReport', {
  contribution: optional(ContributionReceipt),
  stats: Metrics,
  completed_at: Timestamp,
})
export type WindowReport = Infer<typeof WindowReport>

/** Why a training window failed. */
export const TrainError = record('TrainError', { message: text })
export type TrainError = Infer<typeof TrainError>
