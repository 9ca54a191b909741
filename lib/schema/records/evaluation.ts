/** Evaluation protocols: fixed ways to compare heads over time (spec formats#derived-ids). */

import type { Infer } from '../codec.js'
import { list, optional, record, tuple } from '../containers.js'
import { contentIdOf } from '../content-id.js'
import { ContentId, DatasetViewId } from '../ids.js'
import { bool, text, u64, u64Exact } from '../primitives.js'
import { variants } from '../variants.js'

/** How the values of a metric become one. */
export const EvalAggregationRule = variants('EvalAggregationRule', {
  Mean: null,
  WeightedMean: null,
  Median: null,
  Sum: null,
  Min: null,
  Max: null,
  Last: null,
  Custom: text,
})
export type EvalAggregationRule = Infer<typeof EvalAggregationRule>

/** A metric of an evaluation: its key, its name, and which way is better. */
export const EvalMetricDef = record('EvalMetricDef', {
  metric_key: text,
  display_name: text,
  unit: optional(text),
  higher_is_better: bool,
})
export type EvalMetricDef = Infer<typeof EvalMetricDef>

/** The sampler's seed uses the whole u64 range, so it is a `bigint`. */
export const EvalProtocolManifest = record('EvalProtocolManifest', {
  eval_protocol_id: ContentId,
  name: text,
  dataset_view_id: DatasetViewId,
  split_id: text,
  metric_defs: list(EvalMetricDef),
  aggregation_rule: EvalAggregationRule,
  sample_budget: u64,
  deterministic_sampler_seed: u64Exact,
  version: text,
})
export type EvalProtocolManifest = Infer<typeof EvalProtocolManifest>

const evalProtocolHash = tuple(
  'evaluation protocol hash',
  text,
  DatasetViewId,
  text,
  list(EvalMetricDef),
  EvalAggregationRule,
  u64,
  u64Exact,
  text,
)

/** The id of an evaluation protocol, from everything else in it (spec formats#derived-ids). */
export function evalProtocolId(
  manifest: Omit<EvalProtocolManifest, 'eval_protocol_id'>,
): ContentId {
  return contentIdOf(evalProtocolHash, [
    manifest.name,
    manifest.dataset_view_id,
    manifest.split_id,
    manifest.metric_defs,
    manifest.aggregation_rule,
    manifest.sample_budget,
    manifest.deterministic_sampler_seed,
    manifest.version,
  ])
}
