/** Stopping long operations through an `AbortSignal`. */

import { AbortError } from '../errors.js'

/** What every operation that takes a while accepts. */
export interface OperationOptions {
  /** Stops the operation, which then throws an AbortError. */
  readonly signal?: AbortSignal | undefined
}

/** Throws when the signal has fired. `action` completes "Cannot …". */
export function throwIfAborted(signal: AbortSignal | undefined, action: string): void {
  if (signal?.aborted === true) throw abortError(signal, action)
}

/**
 * The items of a source until the signal fires, also while the source keeps us waiting. The source is told to
 * end whenever this ends early.
 *
 * @throws AbortError when the signal fires first
 */
export async function* untilAborted<T>(
  source: Iterable<T> | AsyncIterable<T>,
  signal: AbortSignal | undefined,
  action: string,
): AsyncGenerator<T> {
  throwIfAborted(signal, action)
  if (signal === undefined) {
    yield* source
    return
  }
  const iterator =
    Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  let ended = false
  try {
    for (;;) {
      const next = await unlessAborted(async () => iterator.next(), signal, action)
      if (next.done === true) {
        ended = true
        return
      }
      yield next.value
      throwIfAborted(signal, action)
    }
  } finally {
    // Not waited for: a generator that hangs in next() answers return() only afterwards.
    if (!ended) (async () => iterator.return?.())().catch(() => undefined)
  }
}

/** One listener per call: racing with one long-lived promise would keep every result alive. */
async function unlessAborted<T>(
  run: () => Promise<T>,
  signal: AbortSignal,
  action: string,
): Promise<T> {
  let onAbort: () => void = () => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(abortError(signal, action))
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([run(), aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** The error of an operation that its signal has stopped. `action` completes "Cannot …". */
export function abortError(signal: AbortSignal, action: string): AbortError {
  return new AbortError(`Cannot ${action}: the operation was aborted`, { cause: signal.reason })
}

/** Whether something was stopped by a signal: an error of torchbed or of Node.js. */
export function isAbort(error: unknown): boolean {
  return error instanceof AbortError || (error instanceof Error && error.name === 'AbortError')
}
