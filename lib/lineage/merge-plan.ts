/** Which contributions are merged, in which order, with which weight (spec store#catalogue). */

import {
  ArtifactId,
  compareUtf8,
  ContributionReceiptId,
  ExperimentId,
  f64,
  HeadId,
  list,
  map,
  MergePolicy,
  record,
  RevisionId,
  StudyId,
  ContributionReceipt,
  type ArtifactDescriptor,
  type Infer,
} from '../schema/index.js'
import {
  ConflictingContributionError,
  EmptyMergeCandidateError,
  MixedBaseHeadError,
  MixedContributionScopeError,
  NonPositiveContributionWeightError,
  UnknownContributionArtifactError,
} from './errors.js'

/** Contributions that might be merged. */
export interface MergeCandidate {
  readonly study_id: StudyId
  readonly experiment_id: ExperimentId
  readonly revision_id: RevisionId
  readonly base_head_id: HeadId
  readonly policy: MergePolicy
  readonly contributions: readonly ContributionReceipt[]
}

/** A merge that may be done. */
export const MergePlan = record('MergePlan', {
  study_id: StudyId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  base_head_id: HeadId,
  policy: MergePolicy,
  contribution_receipt_ids: list(ContributionReceiptId),
  artifact_ids: list(ArtifactId),
  total_weight: f64,
  aggregated_numeric_metrics: map(f64),
})
export type MergePlan = Infer<typeof MergePlan>

/**
 * Plans a merge: contributions by receipt id, the sum of their weights, and the weighted average of every metric
 * that is a number, over the contributions that have it. A contribution that is given twice counts once.
 *
 * @param artifacts the known artifacts
 * @throws EmptyMergeCandidateError, ConflictingContributionError, MixedContributionScopeError, MixedBaseHeadError,
 *   NonPositiveContributionWeightError, UnknownContributionArtifactError
 */
export function planMerge(
  candidate: MergeCandidate,
  artifacts: ReadonlyMap<ArtifactId, ArtifactDescriptor>,
): MergePlan {
  const { study_id, experiment_id, revision_id, base_head_id, policy } = candidate
  if (candidate.contributions.length === 0) throw new EmptyMergeCandidateError()
  // The order decides how sums round, so that all peers must have the same.
  const contributions = distinct(candidate.contributions).sort((a, b) =>
    compareUtf8(a.receipt_id, b.receipt_id),
  )
  let total_weight = 0
  const metrics = new Map<string, { sum: number; weight: number }>()
  for (const contribution of contributions) {
    checkContribution(contribution, candidate, artifacts)
    const weight = contribution.accepted_weight
    total_weight += weight
    for (const [name, value] of Object.entries(contribution.metrics)) {
      if (typeof value !== 'number' && typeof value !== 'bigint') continue
      const metric = metrics.get(name) ?? { sum: 0, weight: 0 }
      metric.sum += Number(value) * weight
      metric.weight += weight
      metrics.set(name, metric)
    }
  }
  return {
    study_id,
    experiment_id,
    revision_id,
    base_head_id,
    policy,
    contribution_receipt_ids: contributions.map(({ receipt_id }) => receipt_id),
    artifact_ids: contributions.map(({ artifact_id }) => artifact_id),
    total_weight,
    aggregated_numeric_metrics: Object.fromEntries(
      [...metrics].map(([name, { sum, weight }]) => [name, sum / weight]),
    ),
  }
}

/** Each contribution once, whatever a peer sends twice. */
function distinct(contributions: readonly ContributionReceipt[]): ContributionReceipt[] {
  const byId = new Map<ContributionReceiptId, ContributionReceipt>()
  for (const contribution of contributions) {
    const known = byId.get(contribution.receipt_id)
    if (known === undefined) byId.set(contribution.receipt_id, contribution)
    else if (ContributionReceipt.toJson(known) !== ContributionReceipt.toJson(contribution)) {
      throw new ConflictingContributionError(contribution.receipt_id)
    }
  }
  return [...byId.values()]
}

function checkContribution(
  contribution: ContributionReceipt,
  candidate: MergeCandidate,
  artifacts: ReadonlyMap<ArtifactId, ArtifactDescriptor>,
): void {
  const { receipt_id, artifact_id, accepted_weight } = contribution
  const [expected, found] = [candidate, contribution].map(
    ({ study_id, experiment_id, revision_id }) =>
      JSON.stringify([study_id, experiment_id, revision_id]),
  ) as [string, string]
  if (expected !== found) throw new MixedContributionScopeError(receipt_id, expected, found)
  if (contribution.base_head_id !== candidate.base_head_id) {
    throw new MixedBaseHeadError(receipt_id, candidate.base_head_id, contribution.base_head_id)
  }
  if (!(accepted_weight > 0 && Number.isFinite(accepted_weight))) {
    throw new NonPositiveContributionWeightError(receipt_id, accepted_weight)
  }
  const artifact = artifacts.get(artifact_id)
  if (artifact === undefined) throw new UnknownContributionArtifactError(receipt_id, artifact_id)
  if (artifact.kind === 'DeltaPack' && artifact.base_head_id !== candidate.base_head_id) {
    throw new MixedBaseHeadError(receipt_id, candidate.base_head_id, artifact.base_head_id)
  }
}
