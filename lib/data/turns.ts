/** Runs one piece of work after the other, and many with a limit. */

import { throwIfAborted, type AbortOptions } from './time-slices.js'

/** Work that waits for its turn. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /**
   * Runs work when all that came before has ended, well or badly.
   *
   * @throws AbortError when the signal fires first; the work is then not begun
   */
  async run<T>(work: () => Promise<T>, { signal }: AbortOptions = {}): Promise<T> {
    const before = this.#last
    const turn = before.then(() => {
      throwIfAborted('Waiting for a turn', signal)
      return work()
    })
    this.#last = turn.catch(() => undefined)
    if (signal === undefined) return turn
    const leaving = new AbortController()
    const { signal: left } = leaving
    const aborted = new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { signal: left })
    })
    try {
      await Promise.race([before, aborted])
      throwIfAborted('Waiting for a turn', signal)
      return await turn
    } finally {
      leaving.abort()
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
  items: readonly T[],
  limit: number,
  work: (item: T, signal: AbortSignal) => Promise<R>,
  { signal }: AbortOptions = {},
): Promise<R[]> {
  const stop = new AbortController()
  const forward = () => {
    stop.abort(signal?.reason)
  }
  signal?.addEventListener('abort', forward)
  if (signal?.aborted === true) forward()
  const results = new Array<R>(items.length)
  const queue = items.entries()
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
    await Promise.all(Array.from({ length: Math.min(limit, items.length) }, runner))
  } finally {
    signal?.removeEventListener('abort', forward)
  }
  if (failures.length > 0) throw failures[0]
  return results
}
