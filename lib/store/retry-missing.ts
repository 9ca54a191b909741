/**
 * Retries while garbage collection has a chunk renamed aside.
 *
 * A collector takes a chunk's name away to look at the file once more, and gives it back when it is wanted
 * (`removeUnless`). Until then, some microseconds later, the chunk looks as if it were missing.
 */

import { setTimeout } from 'node:timers/promises'

/** How long a reader waits for a missing chunk, in milliseconds. That it is not there is an everyday answer. */
export const READER_PATIENCE_MS = 50

/** How long a writer waits for a chunk that it has found or written, in milliseconds: without it all is lost. */
export const WRITER_PATIENCE_MS = 1000

/** First wait, in milliseconds; each further one is twice as long. */
const FIRST_WAIT_MS = 10

/**
 * Looks for a chunk, again and again until it is found or patience is at an end.
 *
 * @param patienceMs in milliseconds
 * @param look resolves to undefined when the chunk is missing
 * @returns undefined when it is missing still
 */
export async function onceGivenBack<T>(
  patienceMs: number,
  look: () => Promise<T | undefined>,
): Promise<T | undefined> {
  let left = patienceMs
  for (let waitMs = FIRST_WAIT_MS; left > 0; waitMs *= 2) {
    const found = await look()
    if (found !== undefined) return found
    await setTimeout(Math.min(waitMs, left))
    left -= waitMs
  }
  return look()
}
