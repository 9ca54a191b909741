/** How a network treats updates that do not fit the others: the robustness policy and its presets (spec network-roles#screening). */

import type { Infer } from '../../codec.js'
import { optional, record } from '../../containers.js'
import { bool, f64, text, u16, u32, u64 } from '../../primitives.js'
import { names } from '../../variants.js'

/** What gets an update rejected before it is looked at. */
export const HardRejectPolicy = record('HardRejectPolicy', {
  max_stale_windows: u32,
  reject_replays: bool,
  require_lease_binding: bool,
  strict_schema_compatibility: bool,
  reject_malformed_updates: bool,
  max_update_bytes: optional(u64),
})
export type HardRejectPolicy = Infer<typeof HardRejectPolicy>

/** How norms become weights. */
export const ClippingPolicy = record('ClippingPolicy', {
  global_norm_cap: f64,
  per_layer_norm_cap: optional(f64),
  minimum_useful_norm: f64,
  max_effective_weight: f64,
  adaptive_norm_bands: bool,
})
export type ClippingPolicy = Infer<typeof ClippingPolicy>

/** From where on an update counts as unlike the others. */
export const ScreeningPolicy = record('ScreeningPolicy', {
  sketch_dimensionality: u16,
  minimum_cosine_similarity: f64,
  minimum_sign_agreement_fraction: f64,
  maximum_neighbor_distance: f64,
  maximum_canary_loss_delta: f64,
  hard_reject_score: f64,
  downweight_score: f64,
  use_historical_centroid: bool,
  require_replica_agreement: bool,
})
export type ScreeningPolicy = Infer<typeof ScreeningPolicy>

/** How the updates of a window are compared with each other. */
export const CohortFilterStrategy = names(
  'CohortFilterStrategy',
  'None',
  'SimilarityAware',
  'TrustedReferenceWeightedMean',
  'ClippedMean',
  'TrimmedMean',
  'Median',
  'Krum',
  'MultiKrum',
  'Bulyan',
  'MultiBulyan',
)
export type CohortFilterStrategy = Infer<typeof CohortFilterStrategy>

/** Which updates of a window are kept. */
export const CohortFilterPolicy = record('CohortFilterPolicy', {
  strategy: CohortFilterStrategy,
  trim_fraction: f64,
  minimum_survivor_count: u16,
  maximum_pairwise_distance: f64,
})
export type CohortFilterPolicy = Infer<typeof CohortFilterPolicy>

/** How much one peer may weigh in a merge, and how many take part. */
export const RobustAggregationPolicy = record('RobustAggregationPolicy', {
  strategy: text,
  max_peer_weight: f64,
  maximum_cohort_size: u16,
  browser_contribution_cap: f64,
})
export type RobustAggregationPolicy = Infer<typeof RobustAggregationPolicy>

/** What validators ask of a candidate's evaluation. */
export const ValidatorCanaryPolicy = record('ValidatorCanaryPolicy', {
  minimum_evaluator_quorum: u16,
  maximum_regression_delta: f64,
  require_backdoor_probes: bool,
  block_on_regression: bool,
})
export type ValidatorCanaryPolicy = Infer<typeof ValidatorCanaryPolicy>

/** How trust in a peer grows and shrinks. */
export const ReputationPolicy = record('ReputationPolicy', {
  suspicion_decay: f64,
  rejection_weight: f64,
  disagreement_penalty: f64,
  delayed_attack_penalty: f64,
  reducer_demote_threshold: f64,
  validator_demote_threshold: f64,
})
export type ReputationPolicy = Infer<typeof ReputationPolicy>

/** When a peer is left out for some windows. */
export const QuarantinePolicy = record('QuarantinePolicy', {
  automatic_quarantine: bool,
  quarantine_after_consecutive_rejections: u16,
  quarantine_duration_windows: u16,
  ban_after_quarantine_windows: u16,
})
export type QuarantinePolicy = Infer<typeof QuarantinePolicy>

/** When people are called. */
export const EscalationPolicy = record('EscalationPolicy', {
  pause_on_replica_disagreement: bool,
  pause_on_canary_regression: bool,
  alert_on_quarantine: bool,
  maximum_quarantined_fraction: f64,
})
export type EscalationPolicy = Infer<typeof EscalationPolicy>

/** All of it. A directory entry may carry it as JSON. */
export const RobustnessPolicy = record('RobustnessPolicy', {
  preset: text,
  assumed_byzantine_fraction: f64,
  hard_reject_policy: HardRejectPolicy,
  clipping_policy: ClippingPolicy,
  screening_policy: ScreeningPolicy,
  cohort_filter_policy: CohortFilterPolicy,
  aggregation_policy: RobustAggregationPolicy,
  validator_canary_policy: ValidatorCanaryPolicy,
  reputation_policy: ReputationPolicy,
  quarantine_policy: QuarantinePolicy,
  escalation_policy: EscalationPolicy,
})
export type RobustnessPolicy = Infer<typeof RobustnessPolicy>

const balanced: RobustnessPolicy = {
  preset: 'Balanced',
  assumed_byzantine_fraction: 0.2,
  hard_reject_policy: {
    max_stale_windows: 2,
    reject_replays: true,
    require_lease_binding: true,
    strict_schema_compatibility: true,
    reject_malformed_updates: true,
    max_update_bytes: null,
  },
  clipping_policy: {
    global_norm_cap: 8,
    per_layer_norm_cap: null,
    minimum_useful_norm: 0.1,
    max_effective_weight: 1,
    adaptive_norm_bands: true,
  },
  screening_policy: {
    sketch_dimensionality: 64,
    minimum_cosine_similarity: 0.05,
    minimum_sign_agreement_fraction: 0.45,
    maximum_neighbor_distance: 3,
    maximum_canary_loss_delta: 0.1,
    hard_reject_score: 4,
    downweight_score: 1.5,
    use_historical_centroid: true,
    require_replica_agreement: false,
  },
  cohort_filter_policy: {
    strategy: 'SimilarityAware',
    trim_fraction: 0.1,
    minimum_survivor_count: 2,
    maximum_pairwise_distance: 3,
  },
  aggregation_policy: {
    strategy: 'ClippedWeightedMean',
    max_peer_weight: 1,
    maximum_cohort_size: 32,
    browser_contribution_cap: 0.5,
  },
  validator_canary_policy: {
    minimum_evaluator_quorum: 2,
    maximum_regression_delta: 0.02,
    require_backdoor_probes: false,
    block_on_regression: true,
  },
  reputation_policy: {
    suspicion_decay: 0.95,
    rejection_weight: 1,
    disagreement_penalty: 0.5,
    delayed_attack_penalty: 1.5,
    reducer_demote_threshold: -2,
    validator_demote_threshold: -4,
  },
  quarantine_policy: {
    automatic_quarantine: true,
    quarantine_after_consecutive_rejections: 2,
    quarantine_duration_windows: 4,
    ban_after_quarantine_windows: 8,
  },
  escalation_policy: {
    pause_on_replica_disagreement: true,
    pause_on_canary_regression: true,
    alert_on_quarantine: true,
    maximum_quarantined_fraction: 0.33,
  },
}

/** The presets of the reference. A network that says nothing has `balanced`. */
export const ROBUSTNESS_PRESETS = {
  minimal: {
    ...balanced,
    preset: 'Minimal',
    assumed_byzantine_fraction: 0.05,
    clipping_policy: { ...balanced.clipping_policy, minimum_useful_norm: 0.05 },
    screening_policy: { ...balanced.screening_policy, hard_reject_score: 5, downweight_score: 2.5 },
  },
  balanced,
  strict: {
    ...balanced,
    preset: 'Strict',
    assumed_byzantine_fraction: 0.25,
    hard_reject_policy: {
      ...balanced.hard_reject_policy,
      max_stale_windows: 1,
      max_update_bytes: 64 * 1024 * 1024,
    },
    clipping_policy: {
      ...balanced.clipping_policy,
      global_norm_cap: 4,
      per_layer_norm_cap: 2,
      minimum_useful_norm: 0.15,
      max_effective_weight: 0.75,
    },
    screening_policy: {
      ...balanced.screening_policy,
      minimum_cosine_similarity: 0.15,
      minimum_sign_agreement_fraction: 0.55,
      maximum_neighbor_distance: 2,
      hard_reject_score: 3,
      downweight_score: 1,
      require_replica_agreement: true,
    },
    cohort_filter_policy: {
      ...balanced.cohort_filter_policy,
      strategy: 'TrustedReferenceWeightedMean',
      trim_fraction: 0.2,
    },
    aggregation_policy: {
      ...balanced.aggregation_policy,
      maximum_cohort_size: 16,
      browser_contribution_cap: 0.25,
    },
    validator_canary_policy: {
      ...balanced.validator_canary_policy,
      maximum_regression_delta: 0.01,
      require_backdoor_probes: true,
    },
    reputation_policy: {
      ...balanced.reputation_policy,
      rejection_weight: 1.5,
      disagreement_penalty: 1,
      delayed_attack_penalty: 2,
      reducer_demote_threshold: -1,
      validator_demote_threshold: -2,
    },
    quarantine_policy: {
      ...balanced.quarantine_policy,
      quarantine_after_consecutive_rejections: 1,
      quarantine_duration_windows: 8,
      ban_after_quarantine_windows: 16,
    },
    escalation_policy: { ...balanced.escalation_policy, maximum_quarantined_fraction: 0.2 },
  },
  research: {
    ...balanced,
    preset: 'Research',
    assumed_byzantine_fraction: 0.33,
    clipping_policy: { ...balanced.clipping_policy, minimum_useful_norm: 0.05 },
    screening_policy: { ...balanced.screening_policy, sketch_dimensionality: 128 },
    cohort_filter_policy: {
      strategy: 'MultiBulyan',
      trim_fraction: 0.2,
      minimum_survivor_count: 4,
      maximum_pairwise_distance: 2.5,
    },
    aggregation_policy: {
      ...balanced.aggregation_policy,
      strategy: 'TrimmedMean',
      maximum_cohort_size: 64,
    },
    validator_canary_policy: {
      ...balanced.validator_canary_policy,
      minimum_evaluator_quorum: 3,
      require_backdoor_probes: true,
    },
  },
} as const satisfies Readonly<Record<string, RobustnessPolicy>>
