/** Sorting in steps: `Array.sort` of a million tensors would take a second. */

import type { Steps } from '../core/steps.js'

/** Items that are sorted in one step: a tenth of a millisecond. */
const SORTED_ITEMS = 256

/** Items that are compared in one step: some microseconds. */
const ITEMS_PER_STEP = 64

/** The items in order; the same array when they are so already. Stable; time n log n. */
export function* sortedInSteps<T extends object>(
  items: T[],
  compare: (a: T, b: T) => number,
): Steps<T[]> {
  if (yield* isSorted(items, compare)) return items
  let runs: T[][] = []
  for (let at = 0; at < items.length; at += SORTED_ITEMS) {
    runs.push(items.slice(at, at + SORTED_ITEMS).sort(compare))
    yield
  }
  while (runs.length > 1) {
    const merged: T[][] = []
    for (let at = 0; at < runs.length; at += 2) {
      merged.push(yield* merge(runs[at] ?? [], runs[at + 1] ?? [], compare))
    }
    runs = merged
  }
  return runs[0] ?? []
}

function* merge<T extends object>(
  left: readonly T[],
  right: readonly T[],
  compare: (a: T, b: T) => number,
): Steps<T[]> {
  const merged: T[] = []
  let atLeft = 0
  let atRight = 0
  for (;;) {
    const a = left[atLeft]
    const b = right[atRight]
    if (a !== undefined && (b === undefined || compare(a, b) <= 0)) {
      merged.push(a)
      atLeft++
    } else if (b !== undefined) {
      merged.push(b)
      atRight++
    } else return merged
    if (merged.length % ITEMS_PER_STEP === 0) yield
  }
}

function* isSorted<T>(items: readonly T[], compare: (a: T, b: T) => number): Steps<boolean> {
  let before: T | undefined
  for (const [index, item] of items.entries()) {
    if (index % ITEMS_PER_STEP === ITEMS_PER_STEP - 1) yield
    if (before !== undefined && compare(before, item) > 0) return false
    before = item
  }
  return true
}
