/** Doing the same for many items, a few at a time. */

import type { OperationOptions } from './abort.js'

/** Work under way, at most `limit` pieces at one time. */
export class InFlight {
  readonly #limit: number
  readonly #running = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Waits until there is room for one more. Throws the first error of what was started before. */
  async room(): Promise<void> {
    while (this.#running.size >= this.#limit && this.#failure === undefined) {
      await Promise.race(this.#running)
    }
    this.#throwIfFailed()
  }

  start(work: () => Promise<void>): void {
    const running = work()
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#running.delete(running)
      })
    this.#running.add(running)
  }

  /** Waits for all that was started, whatever becomes of it. */
  async settle(): Promise<void> {
    await Promise.all(this.#running)
  }

  /** Waits for all that was started. Throws the first error. */
  async finish(): Promise<void> {
    await this.settle()
    this.#throwIfFailed()
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}

/** Lets at most `limit` pieces of work run at one time; the others wait in order. */
export class Slots {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(limit: number) {
    this.#free = limit
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // The slot goes straight to the next one, so that none gets in between.
      if (next === undefined) this.#free++
      else next()
    }
  }
}

/**
 * Runs work on every item, at most `limit` at a time. The first failure stops what runs and is thrown when all
 * has ended.
 *
 * @returns the results in the order of the items
 */
export async function mapLimited<T, R>(
  items: Iterable<T>,
  limit: number,
  work: (item: T, signal: AbortSignal) => Promise<R>,
  { signal }: OperationOptions = {},
): Promise<R[]> {
  const stop = new AbortController()
  const forward = () => {
    stop.abort(signal?.reason)
  }
  signal?.addEventListener('abort', forward)
  if (signal?.aborted === true) forward()
  const all = [...items]
  const results = new Array<R>(all.length)
  const queue = all.entries()
  const failures: unknown[] = []
  const runner = async () => {
    for (const [index, item] of queue) {
      if (failures.length > 0) return
      try {
        results[index] = await work(item, stop.signal)
      } catch (error) {
        failures.push(error)
        stop.abort(error)
      }
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(limit, all.length) }, runner))
  } finally {
    signal?.removeEventListener('abort', forward)
  }
  if (failures.length > 0) throw failures[0]
  return results
}

/**
 * Gives what `make` makes of each item, in the order of the items. At most `limit` are being made, or in the hands
 * of the caller, at one time. When one fails, or the caller stops, those under way are waited for.
 */
export async function* inOrder<T, R>(
  items: readonly T[],
  limit: number,
  make: (item: T, index: number) => Promise<R>,
): AsyncGenerator<R> {
  const ahead: Promise<R>[] = []
  const rest = items.entries()
  const startNext = () => {
    const next = rest.next()
    if (next.done === true) return
    const [index, item] = next.value
    const made = make(item, index)
    // Its error is thrown in its turn; until then it must not count as unhandled.
    made.catch(() => undefined)
    ahead.push(made)
  }
  try {
    for (let count = 0; count < limit; count++) startNext()
    for (let next = ahead.shift(); next !== undefined; next = ahead.shift()) {
      yield await next
      startNext()
    }
  } finally {
    await Promise.allSettled(ahead)
  }
}
