/** The outer learning rate of a round: a pure function of its number, so that all replicas have the same. */
import { ConfigError } from '../errors.js'

/**
 * How the outer learning rate changes: not at all; from near 0 over `warmup` rounds to its full value, then evenly down
 * to `end` of it in round `rounds`; or by a factor from certain rounds on.
 *
 * There is none with a cosine: engines may round it differently, and replicas must not.
 */
export type Schedule =
  | 'constant'
  | {
      readonly kind: 'linear'
      /** Rounds until the full rate; default 0. */
      readonly warmup?: number
      /** The round from which the rate is `end` of the full one. */
      readonly rounds: number
      /** Share of the full rate at the end; default 0. */
      readonly end?: number
    }
  | {
      readonly kind: 'steps'
      /** Round and factor, rounds ascending; the factor is 1 before the first. */
      readonly factors: readonly (readonly [fromRound: number, factor: number])[]
    }

/**
 * The learning rate of round `round`, the first being 0.
 *
 * @throws ConfigError when the schedule is not possible
 */
export function learningRate(lr: number, schedule: Schedule, round: number): number {
  if (schedule === 'constant') return lr
  if (schedule.kind === 'steps') {
    checkSteps(schedule.factors)
    return lr * (schedule.factors.findLast(([from]) => round >= from)?.[1] ?? 1)
  }
  const { warmup = 0, rounds, end = 0 } = schedule
  if (!(Number.isSafeInteger(warmup) && Number.isSafeInteger(rounds)) || warmup < 0) {
    refuse('warmup and rounds', `must be whole numbers, 0 or more, not ${warmup} and ${rounds}`)
  }
  if (rounds <= warmup) refuse('rounds', `must be above warmup (${warmup}), not ${rounds}`)
  if (!(end >= 0)) refuse('end', `must be 0 or more, not ${end}`)
  if (round < warmup) return (lr * (round + 1)) / (warmup + 1)
  const left = Math.max(0, rounds - round) / (rounds - warmup)
  return lr * (end + (1 - end) * left)
}

function checkSteps(factors: readonly (readonly [number, number])[]): void {
  let last = -1
  for (const [from, factor] of factors) {
    if (!Number.isSafeInteger(from) || from <= last || !(factor >= 0)) {
      refuse(
        'factors',
        `must be ascending rounds with factors of 0 or more, not ${from}: ${factor}`,
      )
    }
    last = from
  }
}

function refuse(path: string, message: string): never {
  throw new ConfigError('Cannot follow the schedule of the outer learning rate', [
    { path, message },
  ])
}
