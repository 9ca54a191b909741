/** Runs many pieces of work, some at a time. */

import type { AbortOptions } from './time-slices.js'

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
