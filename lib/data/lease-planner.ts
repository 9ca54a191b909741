/** Chooses the microshards that a peer trains on in one window (spec planning#leases). */

import {
  addSeconds,
  assignmentHash,
  leaseId,
  LeasePlannerConfig,
  timestamp,
  type AssignmentLease,
  type LeaseSelection,
  type MicroShard,
  type PeerId,
  type PlannedLease,
  type ShardCostModel,
} from '../schema/index.js'
import { ConfigError } from '../errors.js'
import { ceilDivide, sumExact } from './exact-integers.js'
import { DEFAULT_LEASE_PLANNER_CONFIG } from './constants.js'
import { InvalidBudgetError, InvalidLeaseDurationError, NoMicroshardsError } from './errors.js'
import { RankOrder } from './rank-order.js'
import type { OperationOptions } from '../core/abort.js'
import { TimeSlices } from '../core/time-slices.js'
import { DIGEST_BYTES, TupleHasher } from './tuple-hasher.js'

/** A {@link LeasePlannerConfig} of which fields may be absent, those of its cost model too. */
export interface PartialLeasePlannerConfig extends Partial<Omit<LeasePlannerConfig, 'cost_model'>> {
  readonly cost_model?: Partial<ShardCostModel>
}

/** Who asks for a lease, on what, and from when. */
export type LeaseRequest = Omit<
  AssignmentLease,
  'lease_id' | 'expires_at' | 'microshards' | 'assignment_hash'
>

/**
 * Plans leases. A lease depends only on its peer, its budget and the microshards: no peer asks another, and the
 * leases of two peers may overlap.
 */
export class LeasePlanner {
  readonly config: LeasePlannerConfig

  /**
   * @param config fields that are absent come from {@link DEFAULT_LEASE_PLANNER_CONFIG}
   * @throws InvalidLeaseDurationError when the duration is not positive
   * @throws ConfigError when a field is not an integer of its range, or a lease could hold no microshard
   */
  constructor(config: PartialLeasePlannerConfig = {}) {
    const { cost_model, ...rest } = config
    this.config = {
      ...DEFAULT_LEASE_PLANNER_CONFIG,
      ...rest,
      cost_model: { ...DEFAULT_LEASE_PLANNER_CONFIG.cost_model, ...cost_model },
    }
    LeasePlannerConfig.toWire(this.config)
    const { lease_duration_seconds: duration, max_microshards_per_lease: most } = this.config
    if (duration <= 0) {
      throw new InvalidLeaseDurationError(
        `lease_duration_seconds is ${duration}; give a positive number of seconds`,
      )
    }
    if (most === 0) {
      const message = 'expected at least 1, got 0'
      throw new ConfigError('Cannot plan leases', [{ path: 'max_microshards_per_lease', message }])
    }
  }

  /**
   * What a microshard costs, in work units: the most that its tokens, examples or bytes take, and at least the
   * minimum.
   */
  cost(shard: MicroShard): number {
    const model = this.config.cost_model
    return Math.max(
      units(shard.estimated_tokens, model.tokens_per_work_unit),
      units(shard.estimated_examples, model.examples_per_work_unit),
      units(shard.estimated_bytes, model.bytes_per_work_unit),
      model.minimum_work_units,
      1,
    )
  }

  /**
   * Ranks the microshards for the peer and takes, in rank order, each one that fits the rest of the budget,
   * until the lease is full. The first is taken even when it alone exceeds the budget.
   *
   * Linear in the number of microshards, plus a logarithm for each one that is looked at, and pauses for other
   * work whenever it has run for 8 ms.
   *
   * @param budget in work units, at least 1
   * @throws InvalidBudgetError, NoMicroshardsError
   * @throws DataSchemaError when an id has no UTF-8, or the estimates add up to more than 2^53 - 1
   * @throws AbortError when the signal fires
   */
  async selectMicroshards(
    peer: PeerId,
    budget: number,
    shards: readonly MicroShard[],
    options: OperationOptions = {},
  ): Promise<LeaseSelection> {
    if (!Number.isSafeInteger(budget) || budget < 1) {
      throw new InvalidBudgetError(
        `A budget of ${String(budget)} work units leases nothing; give an integer from 1 to 2^53 - 1`,
      )
    }
    if (shards.length === 0) {
      throw new NoMicroshardsError('There are no microshards to lease; plan the dataset first')
    }
    const slices = new TimeSlices('select microshards', options)
    const { order, cheapest } = await this.#rank(peer, shards, slices)

    const taken: MicroShard[] = []
    let work = 0
    while (taken.length < this.config.max_microshards_per_lease) {
      // Nothing further fits: to look at the rest would change nothing.
      if (taken.length > 0 && budget - work < cheapest) break
      if (slices.due()) await slices.pause()
      const index = order.next()
      const shard = index === undefined ? undefined : shards[index]
      if (shard === undefined) break
      const cost = this.cost(shard)
      if (taken.length > 0 && cost > budget - work) continue
      taken.push(shard)
      work += cost
    }
    return {
      microshards: taken,
      budget_work_units: budget,
      estimated_work_units: work,
      estimated_examples: sumOf('examples', taken),
      estimated_tokens: sumOf('tokens', taken),
      estimated_bytes: sumOf('bytes', taken),
    }
  }

  /**
   * Selects microshards and makes the lease over them, with its id and hash.
   *
   * @param request `granted_at` may be any RFC 3339 text; the lease ends `lease_duration_seconds` later
   * @throws as {@link selectMicroshards}, and ConfigError when a field of the request does not fit its format
   */
  async planLease(
    request: LeaseRequest,
    shards: readonly MicroShard[],
    options: OperationOptions = {},
  ): Promise<PlannedLease> {
    const granted_at = timestamp(request.granted_at)
    const expires_at = addSeconds(granted_at, this.config.lease_duration_seconds)
    const budget = request.budget_work_units
    const selection = await this.selectMicroshards(request.peer_id, budget, shards, options)
    const microshards = selection.microshards.map((shard) => shard.microshard_id)
    const identified = {
      lease_id: leaseId({ ...request, microshards }),
      network_id: request.network_id,
      study_id: request.study_id,
      experiment_id: request.experiment_id,
      revision_id: request.revision_id,
      peer_id: request.peer_id,
      dataset_view_id: request.dataset_view_id,
      window_id: request.window_id,
      granted_at,
      expires_at,
      budget_work_units: budget,
      microshards,
    }
    return { lease: { ...identified, assignment_hash: assignmentHash(identified) }, selection }
  }

  async #rank(
    peer: PeerId,
    shards: readonly MicroShard[],
    slices: TimeSlices,
  ): Promise<{ order: RankOrder; cheapest: number }> {
    const hasher = new TupleHasher(2).text(peer).keep()
    const digests = Buffer.allocUnsafeSlow(shards.length * DIGEST_BYTES)
    const ordinals = new Uint32Array(shards.length)
    let cheapest = Infinity
    let offset = 0
    for (const [index, shard] of shards.entries()) {
      if (slices.due()) await slices.pause()
      hasher.text(shard.microshard_id).digestInto(digests, offset)
      offset += DIGEST_BYTES
      ordinals[index] = shard.ordinal
      cheapest = Math.min(cheapest, this.cost(shard))
    }
    return { order: await RankOrder.of(digests, ordinals, slices), cheapest }
  }
}

function units(estimate: number, perUnit: number): number {
  return ceilDivide(Math.max(estimate, 1), Math.max(perUnit, 1))
}

function sumOf(measure: 'examples' | 'tokens' | 'bytes', shards: readonly MicroShard[]): number {
  const what = `The estimated ${measure} of the microshards`
  return sumExact(
    what,
    shards.map((shard) => shard[`estimated_${measure}`]),
  )
}
