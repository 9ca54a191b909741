/** Cuts a dataset into microshards (spec planning#microshards). */

import {
  DatasetSizing,
  MicroShardPlannerConfig,
  type DatasetView,
  type MicroShard,
  type MicroShardPlan,
} from '../schema/index.js'
import { ceilDivide } from './exact-integers.js'
import { DEFAULT_MICROSHARD_PLANNER_CONFIG } from './constants.js'
import { InvalidTargetMicroshardBytesError } from './errors.js'
import type { OperationOptions } from '../core/abort.js'
import { TimeSlices } from '../core/time-slices.js'
import { TupleHasher } from './tuple-hasher.js'

/** Plans microshards. Every peer with the same view, sizing and config gets the same ids. */
export class MicroShardPlanner {
  readonly config: MicroShardPlannerConfig

  /**
   * @param config fields that are absent come from {@link DEFAULT_MICROSHARD_PLANNER_CONFIG}
   * @throws InvalidTargetMicroshardBytesError when the target is 0
   * @throws ConfigError when a field is not an integer of its range
   */
  constructor(config: Partial<MicroShardPlannerConfig> = {}) {
    this.config = { ...DEFAULT_MICROSHARD_PLANNER_CONFIG, ...config }
    MicroShardPlannerConfig.toWire(this.config)
    if (this.config.target_microshard_bytes === 0) {
      throw new InvalidTargetMicroshardBytesError(
        'target_microshard_bytes is 0; give the size of a microshard, at least 1',
      )
    }
  }

  /**
   * How many microshards a dataset has: its bytes, or tokens, or examples (the first that is not 0), over the
   * target, rounded up, within the config's limits. A target of 1 means one microshard per unit.
   *
   * @throws ConfigError when a total is not an integer from 0 to 2^53 - 1
   */
  count(sizing: DatasetSizing): number {
    DatasetSizing.toWire(sizing)
    const { target_microshard_bytes: target, min_microshards, max_microshards } = this.config
    const basis = sizing.total_bytes || sizing.total_tokens || sizing.total_examples || 1
    const least = Math.max(min_microshards, 1)
    const most = Math.max(max_microshards, least)
    return Math.min(Math.max(ceilDivide(basis, target), least), most)
  }

  /**
   * Shares the dataset out: each of n microshards has `total / n` of examples, tokens and bytes, and the first
   * `total % n` have one more.
   *
   * Linear in the number of microshards, and pauses for other work whenever it has run for 8 ms.
   *
   * @throws ConfigError when a total is not an integer from 0 to 2^53 - 1
   * @throws DataSchemaError when the view's id has no UTF-8
   * @throws AbortError when the signal fires
   */
  async plan(
    view: DatasetView,
    sizing: DatasetSizing,
    options: OperationOptions = {},
  ): Promise<MicroShardPlan> {
    const slices = new TimeSlices('plan microshards', options)
    const view_id = view.dataset_view_id
    const count = this.count(sizing)
    const hasher = new TupleHasher(5).text(view_id).keep()
    const microshards: MicroShard[] = []
    for (let ordinal = 0; ordinal < count; ordinal++) {
      if (slices.due()) await slices.pause()
      const examples = share(sizing.total_examples, ordinal, count)
      const tokens = share(sizing.total_tokens, ordinal, count)
      const bytes = share(sizing.total_bytes, ordinal, count)
      microshards.push({
        microshard_id: hasher.uint(ordinal).uint(examples).uint(tokens).uint(bytes).contentId(),
        dataset_view_id: view_id,
        ordinal,
        estimated_examples: examples,
        estimated_tokens: tokens,
        estimated_bytes: bytes,
      })
    }
    return { dataset_view: view, sizing, microshards }
  }
}

function share(total: number, ordinal: number, count: number): number {
  const rest = total % count
  return (total - rest) / count + (ordinal < rest ? 1 : 0)
}
