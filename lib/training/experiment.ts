/** The names of one experiment, and those that follow from them (spec project#training-loop). */

import { ConfigError } from '../errors.js'
import type {
  ContributionReceiptId,
  EvalSplit,
  ExperimentId,
  HeadDescriptor,
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

/**
 * @throws ConfigError when a store's canonical head is of another experiment
 */
export function refuseOtherExperiment(experiment: Experiment, head: HeadDescriptor): void {
  for (const field of ['study_id', 'experiment_id', 'revision_id'] as const) {
    if (head[field] === experiment[field]) continue
    const message =
      `the store's canonical head ${head.head_id} is of ${field} ${JSON.stringify(head[field])}, not ` +
      `${JSON.stringify(experiment[field])}; use another output folder, or remove this one`
    throw new ConfigError('Cannot continue with this store', [{ path: field, message }])
  }
}
