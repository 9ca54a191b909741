/** Cuts long computations into slices, so that the event loop keeps turning. */

import { setImmediate } from 'node:timers/promises'

import { AbortError } from '../errors.js'
import { MAX_SLICE_MS } from '../data/constants.js'

/** What every function that waits or computes for long takes. */
export interface AbortOptions {
  /** Stops the work with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
}

/** Throws if the signal has fired. `what` is the work that stops, such as `Planning a lease`. */
export function throwIfAborted(what: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new AbortError(`${what} was cancelled`, { cause: signal.reason })
  }
}

/** How many steps pass between looks at the clock; a look costs as much as a short step. */
const STEPS_PER_LOOK = 32

/**
 * Counts the steps of a loop: `if (slices.due()) await slices.pause()`. A slice lasts {@link MAX_SLICE_MS},
 * whatever the machine; work that fits one slice never pauses.
 */
export class TimeSlices {
  readonly #what: string
  readonly #signal: AbortSignal | undefined
  #end = performance.now() + MAX_SLICE_MS
  #steps = 0

  /** @throws AbortError when the signal has already fired */
  constructor(what: string, { signal }: AbortOptions = {}) {
    this.#what = what
    this.#signal = signal
    throwIfAborted(what, signal)
  }

  /** Call once per step; true when the slice is used up. */
  due(): boolean {
    if (++this.#steps < STEPS_PER_LOOK) return false
    this.#steps = 0
    return performance.now() >= this.#end
  }

  /** Lets the event loop turn once. @throws AbortError when the signal has fired */
  async pause(): Promise<void> {
    await setImmediate()
    throwIfAborted(this.#what, this.#signal)
    this.#end = performance.now() + MAX_SLICE_MS
  }
}
