/** Suggestions for misspelt names, for messages. */

/** Longest name that is compared, in UTF-16 code units: the work grows with its square. */
const MAX_COMPARED_LENGTH = 64

/**
 * The known name that was most likely meant, or undefined. Case, `-` and `_` do not count, so that
 * `workloadFactory` finds `workload_factory`; else a third of the letters may differ.
 */
export function closestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > MAX_COMPARED_LENGTH) return undefined
  const wanted = letters(name)
  let closest: string | undefined
  let least = Math.floor(wanted.length / 3) + 1
  for (const candidate of known) {
    const distance = editDistance(wanted, letters(candidate))
    if (distance >= least) continue
    closest = candidate
    least = distance
  }
  return closest
}

function letters(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '')
}

/** Least number of letters to insert, delete, replace or swap with a neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let twoAbove: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const isSame = a[i - 1] === b[j - 1]
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        at(row, j - 1) + 1,
        at(above, j) + 1,
        at(above, j - 1) + (isSame ? 0 : 1),
        isSwap ? at(twoAbove, j - 2) + 1 : Infinity,
      )
    }
    twoAbove = above
    above = row
  }
  return at(above, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity
}
