/** How many cases a property test generates. `TORCHBED_FULL=1` asks for a full run, as `npm run test:full` does. */

export const isFull = process.env.TORCHBED_FULL === '1'

let total = 0

/** The number of cases: `ci` in `npm test`, `full` in a full run. Called inside a test, so that it counts for it. */
export function runs(ci: number, full = 20_000): number {
  const count = isFull ? full : ci
  total += count
  return count
}

/** The cases that were asked for since the last call. */
export function takeRuns(): number {
  const taken = total
  total = 0
  return taken
}
