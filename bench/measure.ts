/** Timing two or more ways side by side: interleaved, so that a noisy machine disturbs all alike. */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** One way of doing a thing. A number that it returns is what it took, in milliseconds; else it is timed whole. */
export type Case = () => unknown

/** The median of each way, in milliseconds, over `rounds` rounds after one that is not counted. */
export async function interleaved<Name extends string>(
  cases: Readonly<Record<Name, Case>>,
  rounds: number,
): Promise<Record<Name, number>> {
  const names = Object.keys(cases) as Name[]
  const times = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<
    Name,
    number[]
  >
  for (let round = -1; round < rounds; round++) {
    for (const name of orderOf(names, Math.max(0, round))) {
      // What one way has left behind is not freed at the cost of the next.
      collectGarbage()
      const began = performance.now()
      const own = await cases[name]()
      const took = typeof own === 'number' ? own : performance.now() - began
      if (round >= 0) times[name].push(took)
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(times[name])])) as Record<
    Name,
    number
  >
}

/** The order turns, and every other round it is reversed, so that none always follows the same other. */
function orderOf<Name>(names: readonly Name[], round: number): readonly Name[] {
  const first = round % names.length
  const turned = [...names.slice(first), ...names.slice(0, first)]
  return round % 2 === 0 ? turned : turned.reverse()
}

/** Runs `call` so many times, one after the other; the median in milliseconds. */
export async function medianOf(call: () => unknown, times: number): Promise<number> {
  const took: number[] = []
  for (let i = 0; i < times; i++) {
    const began = performance.now()
    await call()
    took.push(performance.now() - began)
  }
  return median(took)
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2
}
