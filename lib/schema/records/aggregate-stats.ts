/** What a merge adds up to (spec network-records#aggregates-and-certificates). */

import type { Infer } from '../codec.js'
import { record } from '../containers.js'
import { f64, u32 } from '../primitives.js'

/** Counts and sums over the updates of a merge. */
export const AggregateStats = record('AggregateStats', {
  accepted_updates: u32,
  duplicate_updates: u32,
  dropped_updates: u32,
  late_updates: u32,
  sum_sample_weight: f64,
  sum_quality_weight: f64,
  sum_weighted_delta_norm: f64,
  max_update_norm: f64,
  accepted_sample_coverage: f64,
})
export type AggregateStats = Infer<typeof AggregateStats>
