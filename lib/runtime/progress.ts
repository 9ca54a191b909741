import type { PyValue } from './values.js'

/** How far a running call is, as its hook told by `torchbed.progress(step, total, **metrics)`. */
export interface Progress {
  /** Steps done. */
  readonly step: number
  /** Steps in all; null when the hook does not know. */
  readonly total: number | null
  /** What the hook measured, with ints as `bigint`, as everywhere. */
  readonly metrics: Readonly<Record<string, boolean | bigint | number | string>>
}

/** The listener: a function, or a {@link ProgressStream}. */
export type ProgressListener = ((progress: Progress) => void) | ProgressStream

/**
 * The progress of one call, to be read with `for await`. It ends with the call, whichever way that ends. A
 * reader that is slower than the call gets the latest each time: what it missed is left out, so that the
 * stream never holds more than one.
 *
 * @example
 * const progress = new ProgressStream()
 * const window = project.trainWindow({ model, batches }, { onProgress: progress })
 * for await (const { step, total } of progress) console.log(step, total)
 * await window
 */
export class ProgressStream implements AsyncIterable<Progress> {
  #latest: Progress | undefined
  #ended = false
  #wake: (() => void) | undefined

  /** For the call. */
  push(progress: Progress): void {
    this.#latest = progress
    this.#wake?.()
  }

  /** For the call. What was pushed last can still be read. */
  end(): void {
    this.#ended = true
    this.#wake?.()
  }

  /** Yields the latest progress whenever there is some, and ends with the call. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Progress, void> {
    for (;;) {
      const latest = this.#latest
      if (latest !== undefined) {
        this.#latest = undefined
        yield latest
      } else if (this.#ended) {
        return
      } else {
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    }
  }
}

/** Says that the call is over, also one that never began. */
export function endProgress(listener: ProgressListener | undefined): void {
  if (listener instanceof ProgressStream) listener.end()
}

/** What arrives, `[step, total, metrics]`, as a record. */
export function readProgress(content: PyValue): Progress {
  const [step, total, metrics] = content as [bigint, bigint | null, Progress['metrics']]
  return { step: Number(step), total: total === null ? null : Number(total), metrics }
}

/** What a listener throws becomes an uncaught exception, as in an event listener. */
export function tell(listener: ProgressListener, progress: Progress): void {
  try {
    if (listener instanceof ProgressStream) listener.push(progress)
    else listener(progress)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}
