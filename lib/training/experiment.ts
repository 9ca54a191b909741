/** The names of one experiment, and those that follow from them (spec project#training-loop). */

import type {
  ContributionReceiptId,
  EvalSplit,
  ExperimentId,
  HeadId,
  MergePolicy,
  NetworkId,
  PeerId,
  RevisionId,
  StudyId,
  TrainerCanonicalReconcileStrategy,
} from '../schema/index.js'

/** What all peers of an experiment agree on. */
export interface Experiment {
  readonly network_id: NetworkId
  readonly study_id: StudyId
  readonly experiment_id: ExperimentId
  readonly revision_id: RevisionId
  /** How a validator merges. */
  readonly merge_policy: MergePolicy
  /** How a trainer takes over a new canonical head. */
  readonly canonical_reconcile: TrainerCanonicalReconcileStrategy
  /** What a validator evaluates on. */
  readonly evaluation_split: EvalSplit
  /** Work units of one peer's lease. */
  readonly budget_work_units: number
}

export function genesisHeadId({ experiment_id }: Experiment, peer: PeerId): HeadId {
  return `${experiment_id}-${peer}-genesis`
}

export function windowHeadId({ experiment_id }: Experiment, peer: PeerId, window: number): HeadId {
  return `${experiment_id}-${peer}-window-${window}`
}

export function receiptId(
  { experiment_id }: Experiment,
  peer: PeerId,
  window: number,
): ContributionReceiptId {
  return `${experiment_id}-${peer}-receipt-${window}`
}

export function mergedHeadId({ experiment_id }: Experiment, window: number): HeadId {
  return `${experiment_id}-merged-window-${window}`
}
