/** Means, outer steps and roots once more, slow and plain. */
import { createHash } from 'node:crypto'
import type { OuterOptimizer } from '../../../lib/diloco/index.js'
import { blocks } from './codecs.js'

const f = Math.fround

export function oracleNorm(x: Float32Array): number {
  let sum = 0
  for (const [a, b] of blocks(x.length, 65_536)) {
    let part = 0
    for (const value of x.subarray(a, b)) part += value * value
    sum += part
  }
  return Math.sqrt(sum)
}

export function oracleMean(
  decoded: readonly Float32Array[],
  weights: readonly number[],
  factors: readonly number[],
): Float32Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return decoded[0]!.map((_, j) => {
    let sum = 0
    decoded.forEach((x, i) => (sum += (weights[i]! / total) * factors[i]! * x[j]!))
    return sum
  })
}

/** The mean of each sorted column without the `trim` first and last. */
function ofColumns(decoded: readonly Float32Array[], trim: number): Float32Array {
  return decoded[0]!.map((_, j) => {
    const column = decoded.map((x) => x[j]! + 0).sort((a, b) => a - b)
    const inner = column.slice(trim, column.length - trim)
    return inner.reduce((sum, value) => sum + value, 0) / inner.length
  })
}

export const oracleMedian = (decoded: readonly Float32Array[]) =>
  ofColumns(decoded, Math.floor((decoded.length - 1) / 2))

export const oracleTrimmed = ofColumns

export function oracleKrum(decoded: readonly Float32Array[], faulty: number, keep: number) {
  const n = decoded.length
  const scores = decoded.map((a, i) =>
    decoded
      .filter((_, j) => j !== i)
      .map((b) => oracleNorm(a.map((value, k) => f(value - b[k]!))))
      .map((norm) => norm * norm)
      .sort((p, q) => p - q)
      .slice(0, Math.max(1, n - faulty - 2))
      .reduce((sum, square) => sum + square, 0),
  )
  return decoded
    .map((_, i) => i)
    .sort((i, j) => scores[i]! - scores[j]! || i - j)
    .slice(0, keep)
    .sort((i, j) => i - j)
}

/** Takes steps in place, in number arrays. */
export class OracleOuter {
  steps = 0
  readonly m: Float32Array
  readonly v: Float32Array
  #powers = [1, 1]

  constructor(
    readonly options: OuterOptimizer,
    readonly theta: Float32Array,
  ) {
    this.m = new Float32Array(theta.length)
    this.v = new Float32Array(theta.length)
  }

  step(g: Float32Array): void {
    this.steps++
    const { kind, lr: given, weightDecay = 0 } = this.options
    const lr = f(given)
    const betas = (kind === 'adamw' ? this.options.betas : undefined) ?? [0.9, 0.95]
    this.#powers = this.#powers.map((power, i) => power * betas[i]!)
    for (let i = 0; i < g.length; i++) {
      let theta = this.theta[i]!
      if (f(weightDecay) !== 0) theta = f(theta * f(1 - f(lr * f(weightDecay))))
      this.theta[i] = f(theta - f(lr * this.#move(i, g[i]!)))
    }
  }

  #move(i: number, g: number): number {
    const { options, m, v } = this
    if (options.kind === 'sgd') return g
    if (options.kind !== 'adamw') {
      const mu = f(options.momentum)
      m[i] = this.steps === 1 ? g : f(f(mu * m[i]!) + g)
      return options.kind === 'momentum' ? m[i] : f(g + f(mu * m[i]))
    }
    const [b1, b2] = (options.betas ?? [0.9, 0.95]).map(f) as [number, number]
    m[i] = f(f(b1 * m[i]!) + f(f(1 - b1) * g))
    v[i] = f(f(b2 * v[i]!) + f(f(1 - b2) * f(g * g)))
    const [c1, c2] = this.#powers.map((power) => f(1 - power)) as [number, number]
    const root = f(f(Math.sqrt(f(v[i] / c2))) + f(options.epsilon ?? 1e-8))
    return f(f(m[i] / c1) / root)
  }

  arrays(): Float32Array[] {
    const { kind } = this.options
    const moments = kind === 'sgd' ? [] : kind === 'adamw' ? [this.m, this.v] : [this.m]
    return [this.theta, ...moments]
  }
}

export function oracleRoot(...arrays: readonly Float32Array[]): string {
  const data = Buffer.concat(arrays.map(bytesOf))
  const leaves = blocks(data.length, 2 ** 20).map(([a, b]) => sha256(data.subarray(a, b)))
  return sha256(Buffer.concat(leaves)).toString('hex')
}

const bytesOf = (x: Float32Array) => Buffer.from(x.buffer, x.byteOffset, x.byteLength)
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest()
