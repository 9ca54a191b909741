/** Cuts long computations into slices, so that the event loop keeps turning. */

import { setImmediate } from 'node:timers/promises'

import { throwIfAborted, type OperationOptions } from './abort.js'

/** Longest stretch of computing without a pause for other work, in milliseconds: half a frame at 60 Hz. */
export const MAX_SLICE_MS = 8

/** How many steps pass between looks at the clock; a look costs as much as a short step. */
const STEPS_PER_LOOK = 32

/**
 * Counts the steps of a loop: `if (slices.due()) await slices.pause()`. A slice lasts {@link MAX_SLICE_MS},
 * whatever the machine; work that fits one slice never pauses.
 */
export class TimeSlices {
  readonly #action: string
  readonly #signal: AbortSignal | undefined
  #end = performance.now() + MAX_SLICE_MS
  #steps = 0

  /**
   * @param action completes "Cannot …" when the signal fires, such as `plan a lease`
   * @throws AbortError when the signal has already fired
   */
  constructor(action: string, { signal }: OperationOptions = {}) {
    this.#action = action
    this.#signal = signal
    throwIfAborted(signal, action)
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
    throwIfAborted(this.#signal, this.#action)
    this.#end = performance.now() + MAX_SLICE_MS
  }
}
