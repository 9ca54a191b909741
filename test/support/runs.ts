/** How many cases a property test generates. `TORCHBED_FULL=1` asks for a full run, as `npm run test:long` does. */

export const isFull = process.env.TORCHBED_FULL === '1'

let total = 0

/** The number of cases: `ci` in `npm test`, 20 000 in a full run. Called inside a test, so that it counts for it. */
export function runs(ci: number): number {
  const count = isFull ? 20_000 : ci
  total += count
  return count
}

/** The cases that were asked for since the last call. */
export function takeRuns(): number {
  const taken = total
  total = 0
  return taken
}
