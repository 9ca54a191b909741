/** The order in which a lease's microshards are trained on (spec planning#sampling). */

import type { AssignmentLease, MicroShardId } from '../schema/index.js'
import { RankOrder } from './rank-order.js'
import type { OperationOptions } from '../core/abort.js'
import { TimeSlices } from '../core/time-slices.js'
import { DIGEST_BYTES, TupleHasher } from './tuple-hasher.js'

/**
 * Gives the microshards of a lease in an order that depends only on the window and the microshards: peers with
 * the same microshards go through them alike, and in another order in the next window.
 */
export class ShardAwareSampler {
  readonly #ordered: readonly MicroShardId[]
  #next = 0

  private constructor(ordered: readonly MicroShardId[]) {
    this.#ordered = ordered
  }

  /**
   * Orders a lease's microshards by score, highest first, ties by id.
   *
   * Pauses for other work whenever it has run for 8 ms.
   *
   * @throws DataSchemaError when an id has no UTF-8 or the window is not an integer
   * @throws AbortError when the signal fires
   */
  static async fromLease(
    lease: Pick<AssignmentLease, 'window_id' | 'microshards'>,
    options: OperationOptions = {},
  ): Promise<ShardAwareSampler> {
    const slices = new TimeSlices('order microshards', options)
    const hasher = new TupleHasher(2).uint(lease.window_id).keep()
    const digests = Buffer.allocUnsafeSlow(lease.microshards.length * DIGEST_BYTES)
    let offset = 0
    for (const id of lease.microshards) {
      if (slices.due()) await slices.pause()
      hasher.text(id).digestInto(digests, offset)
      offset += DIGEST_BYTES
    }
    const order = await RankOrder.of(digests, undefined, slices)
    const ordered: MicroShardId[] = []
    for (let index = order.next(); index !== undefined; index = order.next()) {
      if (slices.due()) await slices.pause()
      ordered.push(lease.microshards[index] ?? '')
    }
    return new ShardAwareSampler(ordered)
  }

  /** All microshards in order, whatever has been taken. */
  orderedMicroshards(): readonly MicroShardId[] {
    return this.#ordered
  }

  /** The next microshard; undefined after the last. There is no reset. */
  nextMicroshard(): MicroShardId | undefined {
    return this.#ordered[this.#next++]
  }
}
