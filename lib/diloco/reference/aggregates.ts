/** How burn_p2p makes one pseudo-gradient of several, and its outer step (spec diloco-reference#round-arithmetic). */
import type { DiLoCoAggregationPolicy } from '../../schema/records/protocol.js'
import { checkLengths } from '../memory.js'

const f = Math.fround

/**
 * The aggregate in binary32, in the order given: the result depends on that order, and peers of the reference do not
 * all take the same one.
 *
 * @param gradients one or more, of one length
 * @throws NumericsMemoryError when there is none, or lengths differ
 */
export function aggregateGradients(
  policy: DiLoCoAggregationPolicy,
  gradients: readonly [Float32Array, ...Float32Array[]],
): Float32Array {
  const count = gradients[0].length
  checkLengths(count, Object.fromEntries(gradients.map((it, i) => [`gradient ${i}`, it])))
  const combine = combiner(policy, gradients.length)
  const column = new Float32Array(gradients.length)
  return Float32Array.from({ length: count }, (_, at) => {
    gradients.forEach((gradient, i) => (column[i] = gradient[at] ?? 0))
    return combine(column)
  })
}

/**
 * The parameters after plain SGD: base - learningRate * aggregate, element by element in binary32.
 *
 * @throws NumericsMemoryError when lengths differ
 */
export function plainOuterStep(
  base: Float32Array,
  aggregate: Float32Array,
  learningRate: number,
): Float32Array {
  checkLengths(base.length, { aggregate })
  return base.map((value, i) => f(value - f(f(learningRate) * (aggregate[i] ?? 0))))
}

function combiner(
  policy: DiLoCoAggregationPolicy,
  peers: number,
): (column: Float32Array) => number {
  if (policy === 'Mean') {
    const share = f(1 / peers)
    return (column) => f(column.reduce((sum, value) => f(sum + value), 0) * share)
  }
  if (policy === 'CoordinateMedian') return median
  const { minimum_agreement_micros, tie_break } = policy.SignMajority
  const least = f(f(minimum_agreement_micros) / 1_000_000)
  const tied = { Zero: 0, Positive: 1, Negative: -1 }[tie_break]
  return (column) => {
    const positive = column.filter((value) => value > 0).length
    const negative = column.filter((value) => value < 0).length
    const zero = peers - positive - negative
    const most = Math.max(positive, negative)
    if (zero >= most) return 0
    const sign = positive === negative ? tied : positive > negative ? 1 : -1
    return f(most / peers) < least ? 0 : sign
  }
}

/** Typed arrays sort in the total order: -0 before +0. */
function median(column: Float32Array): number {
  const sorted = column.slice().sort()
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : f(f((sorted[middle - 1] ?? 0) + upper) * 0.5)
}
