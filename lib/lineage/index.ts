/** What heads come from and what they become: the catalogue, merge plans and averages (spec store). */

export {
  AGGREGATE_RECORD_FORMAT,
  AggregateArtifactInput,
  AggregateArtifactRecord,
} from './aggregate.js'
export {
  CheckpointCatalog,
  isComplete,
  type CheckpointLineage,
  type SyncPlan,
  type SyncRequest,
} from './catalog.js'
export * from './errors.js'
export { EmaFlow, EmaFlowRecord } from './ema-flow.js'
export { MergePlan, type MergeCandidate } from './merge-plan.js'
