/** burn_p2p's own gradient codecs and aggregates, against what its crates computed. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import {
  aggregateGradients,
  ContributionValueError,
  decodeGradient,
  encodeGradient,
  PayloadError,
  plainOuterStep,
} from '../../lib/diloco/index.js'
import { ConfigError } from '../../lib/errors.js'
import type { DiLoCoAggregationPolicy, GradientCodec } from '../../lib/schema/index.js'
import { runs } from '../support/runs.js'
import { assertSameBits, hex, unhex } from './support.js'

const read = (name: string) =>
  JSON.parse(readFileSync(`test/recorded/vectors/${name}.json`, 'utf8')) as unknown
const ofBits = (bits: readonly number[]) => new Float32Array(Uint32Array.from(bits).buffer)

interface Gradient {
  readonly codec: GradientCodec
  readonly bytes: string
  readonly values: number[]
  readonly decoded: number[]
}
interface Aggregate {
  readonly policy: DiLoCoAggregationPolicy
  readonly gradients: number[][]
  readonly aggregate: number[]
}

const gradients = read('gradients') as Gradient[]
const aggregates = read('aggregates') as Aggregate[]

describe('the gradient codecs of the reference', () => {
  it('write and read every recorded gradient as its crates do, to the bit', () => {
    assert.ok(gradients.length >= 48)
    for (const { codec, bytes, values, decoded } of gradients) {
      const title = JSON.stringify(codec)
      const x = ofBits(values)
      assert.equal(hex(encodeGradient(codec, x)), bytes, title)
      assertSameBits(decodeGradient(codec, unhex(bytes), x.length), ofBits(decoded), title)
    }
  })

  it('read damaged payloads as finite values, or refuse them with a typed error', () => {
    const one = fc.constantFrom(...gradients.filter(({ values }) => values.length > 0))
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    const property = fc.property(one, damage, fc.boolean(), (gradient, bytes, isCut) => {
      const payload = unhex(gradient.bytes)
      for (const [at, value] of bytes) payload[at % payload.length] = value
      const given = isCut ? payload.subarray(1) : payload
      try {
        const x = decodeGradient(gradient.codec, given, gradient.values.length)
        assert.equal(x.length, gradient.values.length)
        assert.ok(!isCut && x.every(Number.isFinite))
      } catch (error) {
        if (!(error instanceof PayloadError)) throw error
      }
    })
    fc.assert(property, { numRuns: runs(500) })
  })

  it('refuse values that are not finite, and codecs that the reference does not have', () => {
    const x = Float32Array.of(1, NaN)
    assert.throws(() => encodeGradient('Fp16', x), ContributionValueError)
    const lowRank = { LowRank: { rank: 2 } }
    assert.throws(() => encodeGradient(lowRank, Float32Array.of(1)), ConfigError)
    const wide = { BlockwiseInt8: { block_size: 65_536 } }
    assert.throws(() => encodeGradient(wide, Float32Array.of(1)), ConfigError)
  })
})

describe('the aggregates of the reference', () => {
  it('are every recorded one, to the bit', () => {
    assert.ok(aggregates.length >= 30)
    for (const { policy, gradients, aggregate } of aggregates) {
      const all = gradients.map(ofBits) as [Float32Array, ...Float32Array[]]
      assertSameBits(aggregateGradients(policy, all), ofBits(aggregate), JSON.stringify(policy))
    }
  })

  it('move parameters by plain SGD in binary32', () => {
    const moved = plainOuterStep(Float32Array.of(1, 2), Float32Array.of(0.5, -1), 0.7)
    assertSameBits(moved, Float32Array.of(1 - Math.fround(0.35), 2 + Math.fround(0.7)), 'moved')
  })
})
