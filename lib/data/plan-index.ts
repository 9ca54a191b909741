/** Finds the microshards of a plan, which may come from a peer, by id. */

import type { MicroShard, MicroShardId, MicroShardPlan } from '../schema/index.js'
import { DuplicateEntryError } from './errors.js'
import { quote } from './locator.js'
import type { OperationOptions } from '../core/abort.js'
import { TimeSlices } from '../core/time-slices.js'

/** The microshards of a plan by id. */
export type PlanIndex = ReadonlyMap<MicroShardId, MicroShard>

const indices = new WeakMap<MicroShardPlan, PlanIndex>()

/**
 * The index of a plan. It is made once and kept as long as the plan is, which must not change.
 *
 * @throws DuplicateEntryError when a microshard id or an ordinal is there twice
 * @throws AbortError when the signal fires
 */
export async function planIndex(
  plan: MicroShardPlan,
  options: OperationOptions,
): Promise<PlanIndex> {
  const known = indices.get(plan)
  if (known) return known
  const index = await indexUnique(plan.microshards, 'The plan', options)
  indices.set(plan, index)
  return index
}

/**
 * Items by microshard id, none of which shares its id or its ordinal.
 *
 * @param what has the items, as the error calls it
 * @throws DuplicateEntryError, AbortError
 */
export async function indexUnique<
  T extends { readonly microshard_id: MicroShardId; readonly ordinal: number },
>(
  items: readonly T[],
  what: string,
  options: OperationOptions,
): Promise<ReadonlyMap<MicroShardId, T>> {
  const slices = new TimeSlices(`read ${what}`, options)
  const byId = new Map<MicroShardId, T>()
  const ordinals = new Set<number>()
  for (const item of items) {
    if (slices.due()) await slices.pause()
    const { microshard_id, ordinal } = item
    if (byId.has(microshard_id)) {
      throw new DuplicateEntryError(
        `${what} has the microshard ${quote(microshard_id)} twice; ids must be unique`,
      )
    }
    if (ordinals.has(ordinal)) {
      throw new DuplicateEntryError(`${what} has the ordinal ${ordinal} twice; they must be unique`)
    }
    byId.set(microshard_id, item)
    ordinals.add(ordinal)
  }
  return byId
}
