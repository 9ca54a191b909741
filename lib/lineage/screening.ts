/**
 * Screens one update at a time: rejects it, halves its weight, or takes it, and says what that does to the trust in its
 * peer (spec network-roles#screening).
 */

import type { RobustnessPolicy, UpdateFeatureSketch } from '../schema/records/network/index.js'

/** Why an update is rejected. */
export type RejectionReason =
  | 'QuarantinedPrincipal'
  | 'SchemaMismatch'
  | 'BaseHeadMismatch'
  | 'Replay'
  | 'LeaseMismatch'
  | 'TooStale'
  | 'NonFiniteValues'
  | 'ArtifactTooLarge'
  | 'CanaryRegression'
  | 'NormTooSmall'
  | 'SimilarityOutlier'

/** An update as a validator sees it. */
export interface UpdateObservation {
  readonly sketch: UpdateFeatureSketch
  readonly schemaMatches: boolean
  readonly baseHead: string
  readonly expectedBaseHead: string
  readonly leaseId: string | null
  readonly expectedLeaseId: string
  /** Whether its receipt, or its artifact from this peer, has been there before. */
  readonly isDuplicate: boolean
  /** Whether its peer is in quarantine. */
  readonly isQuarantined: boolean
  /** Rejections of its peer in a row, this one not counted. */
  readonly consecutiveRejections: number
  /** Trust in its peer before this update; 0 for a peer that is new. */
  readonly trust: number
  /** Whether the canary accepted the model; `null` when it was not evaluated. */
  readonly isCanaryAccepted: boolean | null
}

/** What becomes of an update. */
export interface ScreeningDecision {
  /** `null` when it is accepted. */
  readonly reason: RejectionReason | null
  /** Whether the reason is one of form, not of similarity. */
  readonly isHardRejected: boolean
  /** Whether its weight was halved. */
  readonly isDownweighted: boolean
  /** The norm after clipping; 0 when it was not looked at. */
  readonly effectiveNorm: number
  /** How unlike the others it is. */
  readonly score: number
  /** What its sample weight is multiplied with, 0 to 1. */
  readonly weight: number
  /** Trust in its peer from now on. */
  readonly trust: number
  /** Whether its peer is now in quarantine. */
  readonly isQuarantined: boolean
  /** Whether its peer may still reduce, and validate. */
  readonly mayReduce: boolean
  readonly mayValidate: boolean
}

/** Screens an update by a policy. Numbers that are not finite, wherever they are in a sketch, reject it. */
export function screenUpdate(
  observation: UpdateObservation,
  policy: RobustnessPolicy,
): ScreeningDecision {
  const hard = hardReason(observation, policy)
  const norm = hard === null ? clippedNorm(observation.sketch, policy) : 0
  if (hard !== null || norm < policy.clipping_policy.minimum_useful_norm) {
    const verdict = { ...REJECTED, effectiveNorm: norm, isHardRejected: true }
    return withTrust({ ...verdict, reason: hard ?? 'NormTooSmall' }, observation, policy)
  }
  const score = similarityScore(observation.sketch, policy)
  const { hard_reject_score, downweight_score } = policy.screening_policy
  if (score >= hard_reject_score) {
    const verdict = { ...REJECTED, effectiveNorm: norm, score }
    return withTrust({ ...verdict, reason: 'SimilarityOutlier' }, observation, policy)
  }
  const isDownweighted = score >= downweight_score
  const { global_norm_cap, max_effective_weight } = policy.clipping_policy
  const full = (norm / Math.max(norm, global_norm_cap)) * clamp(observation.trust + 1, 0.1, 1.5)
  const weight = Math.min(isDownweighted ? full * 0.5 : full, max_effective_weight)
  const verdict = { ...REJECTED, effectiveNorm: norm, score, isDownweighted, weight }
  return withTrust({ ...verdict, reason: null }, observation, policy)
}

/** Least weight of an update that is merged at all. */
const MIN_MERGE_WEIGHT = 0.01

/**
 * The factor on an update's sample weight, after its cohort was filtered.
 *
 * @param scale that of {@link CohortDecision}
 * @param isBrowser whether its peer runs in a browser, which has a cap of its own
 */
export function mergeWeight(
  decision: ScreeningDecision,
  scale: number,
  isBrowser: boolean,
  policy: RobustnessPolicy,
): number {
  const cap = isBrowser ? policy.aggregation_policy.browser_contribution_cap : Infinity
  return Math.max(Math.min(decision.weight * scale, cap), MIN_MERGE_WEIGHT)
}

type Verdict = Omit<ScreeningDecision, 'trust' | 'isQuarantined' | 'mayReduce' | 'mayValidate'>

const REJECTED = {
  isHardRejected: false,
  isDownweighted: false,
  effectiveNorm: 0,
  score: 0,
  weight: 0,
}

function hardReason(
  observation: UpdateObservation,
  policy: RobustnessPolicy,
): RejectionReason | null {
  const { sketch } = observation
  const rules = policy.hard_reject_policy
  if (observation.isQuarantined) return 'QuarantinedPrincipal'
  if (rules.strict_schema_compatibility && !observation.schemaMatches) return 'SchemaMismatch'
  if (observation.baseHead !== observation.expectedBaseHead) return 'BaseHeadMismatch'
  if (rules.reject_replays && observation.isDuplicate) return 'Replay'
  if (rules.require_lease_binding && observation.leaseId !== observation.expectedLeaseId) {
    return 'LeaseMismatch'
  }
  if (sketch.staleness_windows > rules.max_stale_windows) return 'TooStale'
  // Whatever the policy says: such a number would spread into everything that is compared with it.
  if (!isFinite(sketch)) return 'NonFiniteValues'
  if (rules.max_update_bytes !== null && sketch.artifact_size_bytes > rules.max_update_bytes) {
    return 'ArtifactTooLarge'
  }
  const { block_on_regression } = policy.validator_canary_policy
  if (block_on_regression && observation.isCanaryAccepted === false) return 'CanaryRegression'
  return null
}

function isFinite(sketch: UpdateFeatureSketch): boolean {
  const optional = [
    sketch.cosine_to_reference,
    sketch.sign_agreement_fraction,
    sketch.canary_loss_delta,
    sketch.historical_deviation_score,
    sketch.neighbor_distance,
  ]
  return (
    sketch.non_finite_tensor_count === 0 &&
    Number.isFinite(sketch.global_norm) &&
    Object.values(sketch.per_layer_norms).every(Number.isFinite) &&
    sketch.random_projection.every(Number.isFinite) &&
    optional.every((value) => value === null || Number.isFinite(value))
  )
}

function clippedNorm(sketch: UpdateFeatureSketch, policy: RobustnessPolicy): number {
  const { global_norm_cap, per_layer_norm_cap, adaptive_norm_bands } = policy.clipping_policy
  const layers = Object.values(sketch.per_layer_norms)
  let norm = Math.min(sketch.global_norm, global_norm_cap)
  const peak = layers.reduce((most, layer) => Math.max(most, layer), 0)
  if (per_layer_norm_cap !== null && peak > per_layer_norm_cap) norm *= per_layer_norm_cap / peak
  const positive = layers.filter((layer) => layer > 0)
  if (adaptive_norm_bands && positive.length > 0) {
    norm = Math.min(norm, 2 * median(positive) * Math.sqrt(positive.length))
  }
  return norm
}

function similarityScore(
  sketch: UpdateFeatureSketch,
  { screening_policy: rules }: RobustnessPolicy,
) {
  let score = 0
  const cosine = sketch.cosine_to_reference
  if (cosine !== null && cosine < rules.minimum_cosine_similarity) {
    score += (rules.minimum_cosine_similarity - cosine) * 8
  }
  const agreement = sketch.sign_agreement_fraction
  if (agreement !== null && agreement < rules.minimum_sign_agreement_fraction) {
    score += (rules.minimum_sign_agreement_fraction - agreement) * 6
  }
  const distance = sketch.neighbor_distance
  if (distance !== null && distance > rules.maximum_neighbor_distance) {
    score += distance - rules.maximum_neighbor_distance
  }
  const canary = sketch.canary_loss_delta
  if (canary !== null && canary > rules.maximum_canary_loss_delta) {
    score += (canary - rules.maximum_canary_loss_delta) * 10
  }
  if (rules.use_historical_centroid) score += sketch.historical_deviation_score ?? 0
  return score
}

function withTrust(
  verdict: Verdict,
  { trust: before, consecutiveRejections }: UpdateObservation,
  policy: RobustnessPolicy,
): ScreeningDecision {
  const rules = policy.reputation_policy
  const { automatic_quarantine, quarantine_after_consecutive_rejections } = policy.quarantine_policy
  const { reason, score, isDownweighted } = verdict
  let trust = before * rules.suspicion_decay
  if (reason === null) {
    trust += Math.max(0, 1 - score)
    if (isDownweighted) trust -= 0.25 * rules.rejection_weight
  } else {
    trust -= rules.rejection_weight * (1 + 0.25 * score)
    if (reason === 'Replay' || reason === 'TooStale') trust -= rules.delayed_attack_penalty
  }
  return {
    ...verdict,
    trust,
    isQuarantined:
      automatic_quarantine &&
      reason !== null &&
      consecutiveRejections + 1 >= quarantine_after_consecutive_rejections,
    mayReduce: trust >= rules.reducer_demote_threshold,
    mayValidate: trust >= rules.validator_demote_threshold,
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most)
}
