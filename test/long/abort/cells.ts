/** How windows are stopped, how soon they must end, and whether the model trains on. */

/** The 99th percentile may be so much, in milliseconds, on top of what timers are late by just then. */
export const P99_LIMIT_MS = 50

/** Least accuracy on the test split of a model that trained on after all the aborts; 0.1 is a guess. */
export const MIN_ACCURACY = 0.9

export const CELLS = {
  signal: { what: 'windows aborted through their signal' },
  timeout: { what: 'windows that reach their deadline (timeoutMs)' },
} as const

export type CellName = keyof typeof CELLS

/** Windows of a full run; a quick one has a tenth. */
export const WINDOWS = 200

/** What child.ts prints, as one line of JSON. Latencies in milliseconds. */
export interface Latencies {
  readonly cell: CellName
  readonly windows: number
  /** Windows that could not be stopped inside `train_window`, in twice as many attempts. */
  readonly missed: number
  /** Of `windows`, those in which the error says that the weights had changed. */
  readonly changed: number
  /** From `abort()`, or from the deadline, to the rejection; the nearest rank of all windows. */
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** How late a timer of the same process was: what a busy machine adds by itself. The 99th percentile. */
  readonly timerLateP99: number
  /** Of the window that was trained after all of them, on the test split. */
  readonly accuracy: number
  readonly loss: number
}

/** What is not as it must be; empty when all is well. */
export function problemsOf(latencies: Latencies): string[] {
  const { p99, timerLateP99, missed, accuracy, windows } = latencies
  const problems: string[] = []
  // A machine without a free core delays everybody; that is not the abort's.
  const limit = P99_LIMIT_MS + timerLateP99
  if (!(p99 <= limit)) {
    problems.push(`the p99 is ${p99.toFixed(1)} ms, more than ${limit.toFixed(1)} ms`)
  }
  if (missed > 0) problems.push(`${missed} of ${windows} windows were not stopped in training`)
  if (!(accuracy >= MIN_ACCURACY)) {
    problems.push(`the model does not train on: its accuracy is ${accuracy}`)
  }
  return problems
}

/** The latencies in one line. */
export function lineOf(latencies: Latencies): string {
  const { cell, windows, accuracy } = latencies
  const ms = (name: 'p50' | 'p99' | 'max' | 'timerLateP99') => `${latencies[name].toFixed(2)} ms`
  return (
    `${windows} ${CELLS[cell].what}: p50 ${ms('p50')}, p99 ${ms('p99')}, max ${ms('max')}; ` +
    `timers were late by ${ms('timerLateP99')} (p99); accuracy ${accuracy.toFixed(3)} after`
  )
}

/** The nearest rank: the least value that so large a share of all is not above. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN
}
