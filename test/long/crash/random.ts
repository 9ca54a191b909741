/** Random choices that a seed repeats. */

/** Mulberry32: 32 bits of state, good enough to choose what to do next. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** From 0 to 1, without 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0 on, below the limit. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!
  }
}

/** Bytes that follow from a number: no two numbers give the same. */
export function bytesOf(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  const random = new Random(seed)
  for (let at = 0; at < length; at += 4096) {
    bytes.fill(`${seed}/${at}/${random.below(2 ** 31)};`, at, Math.min(at + 4096, length))
  }
  return bytes
}
