/** One vector from the contributions of a round: means, and the robust ones. */
import { ConfigError } from '../errors.js'
import type { Codec } from './codecs/codec.js'
import { borrow, checkLengths, type Named } from './memory.js'
import { numerics, type MeanArguments } from './numerics.js'

/**
 * How contributions become one: the weighted mean; the median of each element; the mean of each element without the
 * `trimmed` largest and smallest; the weighted mean of the `keep` contributions nearest to their neighbours where up to
 * `faulty` may be hostile (multi-Krum, arXiv 1703.02757).
 */
export type Aggregate =
  | 'mean'
  | 'median'
  | { readonly trimmed: number }
  | { readonly krum: { readonly faulty: number; readonly keep: number } }

/** Contributions in the order of their peers' ids by UTF-8 bytes, and what each counts. */
export interface Weighted {
  readonly payloads: readonly Uint8Array[]
  /** Positive; of any sum. */
  readonly weights: readonly number[]
  /** What each is multiplied with, as the screen says; default 1. */
  readonly factors?: readonly number[]
}

/** The contributions that go in, and how. */
export interface Combination {
  readonly payloads: readonly Uint8Array[]
  /** Indices of them among all that were given, ascending. */
  readonly kept: readonly number[]
  /** @internal For the native arithmetic. */
  readonly mean: MeanArguments
}

const KINDS = { mean: 0, median: 1, trimmed: 2 } as const

/**
 * What each peer says that it processed, but at most four times the lower median of all: a claim makes none the mean.
 *
 * @param tokens claimed, whole numbers of 0 or more
 */
export function tokenWeights(tokens: readonly number[]): number[] {
  const sorted = [...tokens].sort((a, b) => a - b)
  const cap = 4 * (sorted[Math.floor((tokens.length - 1) / 2)] ?? 0)
  return tokens.map((claimed) => Math.min(claimed, cap))
}

/**
 * Decides which contributions go in and with which shares.
 *
 * @throws PayloadError when Krum meets a payload that is not one of the codec's
 * @throws ConfigError when the aggregate does not fit their number, or no weight is positive
 */
export async function combine(
  codec: Codec,
  count: number,
  { payloads, weights, factors }: Weighted,
  aggregate: Aggregate = 'mean',
): Promise<Combination> {
  checkAggregate(aggregate, payloads.length)
  payloads.forEach((payload, index) => codec.checkLength(payload, count, index))
  const all = payloads.map((_, index) => index)
  const isKrum = typeof aggregate === 'object' && 'krum' in aggregate
  const kept = isKrum ? await nearest(codec, count, payloads, aggregate.krum) : all
  const pick = <T>(list: readonly T[]) => list.filter((_, index) => kept.includes(index))
  const shares = sharesOf(pick(weights), pick(factors ?? weights.map(() => 1)))
  const kind = aggregate === 'median' ? 'median' : hasTrim(aggregate) ? 'trimmed' : 'mean'
  const trim = hasTrim(aggregate) ? aggregate.trimmed : 0
  return { payloads: pick(payloads), kept, mean: [KINDS[kind], shares, trim] }
}

/**
 * The one vector of a combination, as the outer step takes it; `applyRound` does both in one pass.
 *
 * Binary64 throughout, in the order given, rounded to binary32 at the end; -0 counts as +0 where columns are sorted.
 *
 * @param into where to; default: new memory
 * @throws PayloadError when a payload is not one of the codec's
 */
export async function aggregate(
  codec: Codec,
  count: number,
  { payloads, mean }: Combination,
  into: Float32Array = new Float32Array(count),
): Promise<Float32Array> {
  checkLengths(count, { into })
  const fault = await borrow(named(payloads), { into }, () =>
    numerics().aggregate(codec.number, into, payloads, ...mean),
  )
  codec.refuse(fault)
  return into
}

/** Payloads by names for messages. */
export function named(payloads: readonly Uint8Array[]): Named {
  return Object.fromEntries(payloads.map((payload, index) => [`payload ${index}`, payload]))
}

/** Share i is w_i / W * factor_i, with W the sum of the weights in order. */
function sharesOf(weights: readonly number[], factors: readonly number[]): Float64Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  if (!(total > 0 && total < Infinity && weights.every((weight) => weight >= 0))) {
    const message = `must be 0 or more with a finite sum above 0, not ${weights.join(', ')}`
    throw new ConfigError('Cannot average contributions', [{ path: 'weights', message }])
  }
  return Float64Array.from(weights, (weight, index) => (weight / total) * (factors[index] ?? 1))
}

/** The `keep` contributions with the least sum of squared distances to their n - faulty - 2 nearest; ties: the lower. */
async function nearest(
  codec: Codec,
  count: number,
  payloads: readonly Uint8Array[],
  { faulty, keep }: { readonly faulty: number; readonly keep: number },
): Promise<number[]> {
  const answer = await borrow(named(payloads), {}, () =>
    numerics().distances(codec.number, count, payloads),
  )
  if (Array.isArray(answer)) return codec.refuse(answer)
  const n = payloads.length
  const squares = payloads.map(() => new Array<number>(n).fill(0))
  let pair = 0
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++, pair++) {
      const distance = answer[pair] ?? NaN
      for (const [a, b] of [
        [i, j],
        [j, i],
      ] as const) {
        const row = squares[a]
        if (row !== undefined) row[b] = distance * distance
      }
    }
  }
  const scores = squares.map((row, self) =>
    row
      .filter((_, other) => other !== self)
      .sort((a, b) => a - b)
      .slice(0, Math.max(1, n - faulty - 2))
      .reduce((sum, square) => sum + square, 0),
  )
  const score = (index: number) => scores[index] ?? NaN
  return scores
    .map((_, index) => index)
    .sort((a, b) => score(a) - score(b) || a - b)
    .slice(0, keep)
    .sort((a, b) => a - b)
}

const hasTrim = (aggregate: Aggregate): aggregate is { readonly trimmed: number } =>
  typeof aggregate === 'object' && 'trimmed' in aggregate

function checkAggregate(aggregate: Aggregate, count: number): void {
  const issues = []
  const isWhole = (value: number, least: number) => Number.isSafeInteger(value) && value >= least
  if (count === 0) issues.push({ path: 'payloads', message: 'must be one or more' })
  if (hasTrim(aggregate)) {
    const { trimmed } = aggregate
    if (!isWhole(trimmed, 0) || (count > 0 && 2 * trimmed >= count)) {
      const message = `must be whole, 0 or more and leave some of ${count} contributions, not ${trimmed}`
      issues.push({ path: 'aggregate.trimmed', message })
    }
  } else if (typeof aggregate === 'object' && 'krum' in aggregate) {
    for (const [name, least] of [
      ['faulty', 0],
      ['keep', 1],
    ] as const) {
      const value = aggregate.krum[name]
      if (isWhole(value, least)) continue
      const message = `must be whole and ${least} or more, not ${value}`
      issues.push({ path: `aggregate.krum.${name}`, message })
    }
  }
  if (issues.length > 0) throw new ConfigError('Cannot combine contributions', issues)
}
