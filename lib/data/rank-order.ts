/**
 * The order of scored items, highest score first (spec planning#leases and planning#sampling).
 *
 * A lease takes some hundred of a million shards, so nothing is sorted: a heap is built in linear time and gives
 * the next item when asked.
 */

import { DIGEST_BYTES } from './tuple-hasher.js'
import type { TimeSlices } from '../core/time-slices.js'

/** Bytes of a digest that a double holds exactly; ties beyond them look at the whole digest. */
const KEY_BYTES = 6

/** Gives the indices of items, in rank order. Build it with {@link RankOrder.of}. */
export class RankOrder {
  readonly #digests: Buffer
  readonly #ordinals: ArrayLike<number> | undefined
  /** The head of each digest as a number, by index. */
  readonly #keys: Float64Array
  /** Indices; each ranks before both its children at 2i + 1 and 2i + 2. */
  readonly #heap: Uint32Array
  #size: number

  private constructor(digests: Buffer, ordinals: ArrayLike<number> | undefined) {
    this.#digests = digests
    this.#ordinals = ordinals
    this.#size = digests.length / DIGEST_BYTES
    this.#keys = new Float64Array(this.#size)
    this.#heap = new Uint32Array(this.#size)
  }

  /**
   * Digests compare as the texts of their content ids do.
   *
   * @param digests 32 bytes per item; kept, so leave them unchanged
   * @param ordinals breaks ties, lowest first; without it, and when they are equal too, the index does
   */
  static async of(
    digests: Buffer,
    ordinals: ArrayLike<number> | undefined,
    slices: TimeSlices,
  ): Promise<RankOrder> {
    const order = new RankOrder(digests, ordinals)
    for (let index = 0; index < order.#size; index++) {
      if (slices.due()) await slices.pause()
      order.#keys[index] = digests.readUIntBE(index * DIGEST_BYTES, KEY_BYTES)
      order.#heap[index] = index
    }
    for (let at = (order.#size >>> 1) - 1; at >= 0; at--) {
      if (slices.due()) await slices.pause()
      order.#sink(at)
    }
    return order
  }

  /** The index of the next item; undefined after the last. */
  next(): number | undefined {
    if (this.#size === 0) return undefined
    const first = this.#at(0)
    this.#size--
    this.#heap[0] = this.#at(this.#size)
    this.#sink(0)
    return first
  }

  #at(position: number): number {
    return this.#heap[position] ?? 0
  }

  #key(index: number): number {
    return this.#keys[index] ?? 0
  }

  /** Moves the item at `position` down until both its children rank after it. */
  #sink(position: number): void {
    const item = this.#at(position)
    for (;;) {
      let child = 2 * position + 1
      if (child >= this.#size) break
      if (child + 1 < this.#size && this.#before(this.#at(child + 1), this.#at(child))) child++
      if (!this.#before(this.#at(child), item)) break
      this.#heap[position] = this.#at(child)
      position = child
    }
    this.#heap[position] = item
  }

  #before(a: number, b: number): boolean {
    const difference = this.#key(a) - this.#key(b)
    if (difference !== 0) return difference > 0
    const order = this.#digest(a).compare(this.#digest(b))
    if (order !== 0) return order > 0
    const byOrdinal = (this.#ordinals?.[a] ?? 0) - (this.#ordinals?.[b] ?? 0)
    return byOrdinal === 0 ? a < b : byOrdinal < 0
  }

  #digest(index: number): Buffer {
    return this.#digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
  }
}
