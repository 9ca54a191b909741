/** Computing in small steps, so that it can run in one piece or in slices between which the event loop turns. */

import type { TimeSlices } from './time-slices.js'

/** A computation that yields after each step of some microseconds, and returns its result. */
export type Steps<T = void> = Generator<void, T, void>

/** Runs all steps in one piece. */
export function inOnePiece<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Runs all steps, with a pause when a slice is used up. @throws AbortError when the signal of the slices has fired */
export async function inSlices<T>(steps: Steps<T>, slices: TimeSlices): Promise<T> {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
    if (slices.due()) await slices.pause()
  }
}
