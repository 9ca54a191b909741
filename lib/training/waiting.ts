/** Waiting for what others announce. */

import { abortError, throwIfAborted, type OperationOptions } from '../core/abort.js'
import type { KnownAnnouncements } from '../swarm/index.js'

/** How long to wait. */
export interface WaitOptions extends OperationOptions {
  /** Milliseconds after which to give up. Default: never. */
  readonly forMs?: number | undefined
}

/**
 * Asks again whenever something is announced, and every second for what changes without an announcement.
 *
 * @returns what was found; undefined when the time is over
 * @throws AbortError when the signal fires
 */
export async function untilKnown<T>(
  known: KnownAnnouncements,
  find: () => T | undefined,
  { signal, forMs = Infinity }: WaitOptions = {},
): Promise<T | undefined> {
  throwIfAborted(signal, 'wait for an announcement')
  const found = find()
  if (found !== undefined || forMs <= 0) return found
  return new Promise<T | undefined>((resolve, reject) => {
    let isDue = false
    const end = () => {
      stop()
      clearInterval(regular)
      clearTimeout(late)
      signal?.removeEventListener('abort', onAbort)
    }
    const look = () => {
      isDue = false
      try {
        const now = find()
        if (now === undefined) return
        end()
        resolve(now)
      } catch (error) {
        end()
        reject(error instanceof Error ? error : new Error(String(error)))
      }
    }
    // A snapshot brings many at once: one look is enough for all.
    const stop = known.listen(() => {
      if (isDue) return
      isDue = true
      setImmediate(() => {
        if (isDue) look()
      })
    })
    const regular = setInterval(look, 1000)
    const late = Number.isFinite(forMs)
      ? setTimeout(() => {
          end()
          isDue = false
          resolve(find())
        }, forMs)
      : undefined
    const onAbort = () => {
      end()
      isDue = false
      if (signal !== undefined) reject(abortError(signal, 'wait for an announcement'))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
