/** The native arithmetic against the plain oracle, over random lengths and values. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import process from 'node:process'
import fc from 'fast-check'
import {
  aggregate,
  arraysOf,
  CODECS,
  combine,
  contribute,
  ContributionValueError,
  initialOuterState,
  outerStep,
  owedAfter,
  PayloadError,
  stateRoot,
  VoidRoundError,
  type CodecName,
  type OuterOptimizer,
} from '../../lib/diloco/index.js'
import { runs } from '../support/runs.js'
import { ORACLE_CODECS } from './oracle/codecs.js'
import {
  oracleMean,
  oracleMedian,
  oracleNorm,
  OracleOuter,
  oracleRoot,
  oracleTrimmed,
} from './oracle/rounds.js'
import { assertSameBits, heavy, hex } from './support.js'

const CASES = runs(60)
const names = Object.keys(CODECS) as CodecName[]
const codecName = fc.constantFrom(...names)

/** Around blocks, chunks, tiles and stripes too. */
const length = fc.oneof(
  fc.integer({ min: 1, max: 600 }),
  fc
    .tuple(fc.constantFrom(256, 1024, 4096, 8192), fc.integer({ min: -2, max: 2 }))
    .map(([size, by]) => size + by),
)

const LARGE = 2 ** 100
const EDGES = [
  0,
  -0,
  1,
  -1,
  LARGE,
  -LARGE,
  2 ** -100,
  -(2 ** -101),
  1e-45,
  -1e-40,
  65504,
  65519,
  65520,
]
const HALVES = [0.5, 1.5, 2.5, -2.5, 2 ** -24, 2 ** -25, 3 * 2 ** -25, 2 ** -14, 6.1e-5, 126.5, 127]

/** Values of one magnitude, and some from the edges: a seed says which. */
const values = fc
  .record({
    n: length,
    seed: fc.nat(),
    exponent: fc.integer({ min: -140, max: 99 }),
    edges: fc.array(fc.tuple(fc.nat(), fc.constantFrom(...EDGES, ...HALVES)), { maxLength: 12 }),
    isSmooth: fc.boolean(),
  })
  .map(({ n, seed, exponent, edges, isSmooth }) => {
    const x = heavy(seed, n).map((value) => {
      // Few distinct values make ties, and halves between two codes.
      const plain = isSmooth ? value : Math.round(value * 8) / 8
      return plain * 2 ** exponent
    })
    for (const [at, value] of edges) x[at % n] = value
    return x
  })

const vectors = (n: number, count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => heavy(seed + 7 * i, n))

describe('the native arithmetic of DiLoCo', () => {
  it('encodes, decodes and measures as the oracle does, to the bit', async () => {
    await fc.assert(
      fc.asyncProperty(codecName, values, async (name, x) => {
        const payload = await CODECS[name].encode(x)
        assert.equal(hex(payload), hex(ORACLE_CODECS[name].encode(x)))
        assert.equal(payload.length, CODECS[name].encodedLength(x.length))
        const decoded = await CODECS[name].decode(payload, x.length)
        assertSameBits(decoded, ORACLE_CODECS[name].receive(payload, x.length), name)
        assert.equal(await CODECS[name].norm(payload, x.length), oracleNorm(decoded))
      }),
      { numRuns: 4 * CASES },
    )
  })

  it('refuses to send what is not finite or above 2^100, and names the first such element', async () => {
    const unfit = fc.constantFrom(NaN, Infinity, -Infinity, 2 ** 100 * (1 + 2 ** -23), -3e38)
    const two = fc.tuple(fc.nat(), fc.nat())
    await fc.assert(
      fc.asyncProperty(codecName, length, two, unfit, async (name, n, places, value) => {
        const x = heavy(1, n)
        const [a, b] = places.map((at) => at % n) as [number, number]
        x[a] = value
        x[b] = value
        const isRefused = (error: unknown) =>
          error instanceof ContributionValueError && error.index === Math.min(a, b)
        await assert.rejects(CODECS[name].encode(x), isRefused)
        const zero = new Float32Array(n)
        const given = { codec: CODECS[name], base: x, local: zero, owed: null }
        await assert.rejects(contribute(given), isRefused)
      }),
      { numRuns: CASES },
    )
  })

  it('accepts of damaged payloads what the oracle accepts, and refuses the rest with a typed error', async () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 })
    let refused = 0
    await fc.assert(
      fc.asyncProperty(codecName, length, damage, fc.boolean(), async (name, n, bytes, isCut) => {
        const whole = await CODECS[name].encode(heavy(2, n))
        for (const [at, value] of bytes) whole[at % whole.length] = value
        const payload = isCut && bytes[0]![0] % 4 === 0 ? whole.subarray(1) : whole
        let expected: Float32Array | undefined
        try {
          expected = ORACLE_CODECS[name].receive(payload, n)
        } catch (error) {
          assert.ok(error instanceof RangeError)
        }
        if (expected !== undefined) {
          assertSameBits(await CODECS[name].decode(payload, n), expected, name)
          return
        }
        refused++
        await assert.rejects(CODECS[name].decode(payload, n), PayloadError)
        await assert.rejects(CODECS[name].norm(payload, n), PayloadError)
      }),
      { numRuns: 4 * CASES },
    )
    assert.ok(refused > 0)
  })

  it('keeps what a codec did not send: what was sent and what is owed are the total', async () => {
    await fc.assert(
      fc.asyncProperty(codecName, length, fc.nat(), async (name, n, seed) => {
        const codec = CODECS[name]
        const [base, local, owed] = vectors(n, 3, seed) as [
          Float32Array,
          Float32Array,
          Float32Array,
        ]
        const f = Math.fround
        const expected = base.map((value, i) =>
          f(f(f(codec.feedback) * owed[i]!) + f(value - local[i]!)),
        )
        const sent = await contribute({ codec, base, local, owed })
        assertSameBits(sent.total, expected, 'total')
        const decoded = await codec.decode(sent.payload, n)
        const rest = sent.total.map((value, i) => value - decoded[i]!)
        assertSameBits(await owedAfter(codec, sent), rest, 'owed')
        // In place too: what is owed becomes the total, and the total what is owed.
        const again = await contribute({ codec, base, local, owed }, { total: owed })
        assert.equal(again.total, owed)
        assertSameBits(await owedAfter(codec, again, owed), rest, 'owed in place')
      }),
      { numRuns: CASES },
    )
  })

  it('averages, and takes medians and trimmed means, as the oracle does, to the bit', async () => {
    const count = fc.integer({ min: 1, max: 7 })
    const weight = fc.integer({ min: 1, max: 10 ** 9 })
    const weights = fc.array(weight, { minLength: 7, maxLength: 7 })
    await fc.assert(
      fc.asyncProperty(
        codecName,
        length,
        count,
        fc.nat(),
        weights,
        async (name, n, k, seed, all) => {
          const codec = CODECS[name]
          const payloads = await Promise.all(vectors(n, k, seed).map((x) => codec.encode(x)))
          const decoded = payloads.map((payload) => ORACLE_CODECS[name].receive(payload, n))
          const given = { payloads, weights: all.slice(0, k) }
          const trimmed = Math.floor((k - 1) / 2)
          const ones = payloads.map(() => 1)
          for (const [kind, expected] of [
            ['mean', oracleMean(decoded, given.weights, ones)],
            ['median', oracleMedian(decoded)],
            [{ trimmed }, oracleTrimmed(decoded, trimmed)],
          ] as const) {
            const g = await aggregate(codec, n, await combine(codec, n, given, kind))
            assertSameBits(g, expected, JSON.stringify(kind))
          }
        },
      ),
      { numRuns: CASES },
    )
  })

  it('takes outer steps as the oracle does, to the bit, into new memory and in place', async () => {
    const lr = fc.constantFrom(0, 1e-3, 0.1, 0.7, 1)
    const decay = fc.constantFrom(0, 0.01, 1e-9)
    const outer: fc.Arbitrary<OuterOptimizer> = fc.oneof(
      fc.record({ kind: fc.constant('sgd' as const), lr, weightDecay: decay }),
      fc.record({
        kind: fc.constantFrom('momentum' as const, 'nesterov' as const),
        lr,
        weightDecay: decay,
        momentum: fc.constantFrom(0, 0.5, 0.9, 0.99),
      }),
      fc.record({
        kind: fc.constant('adamw' as const),
        lr,
        weightDecay: decay,
        betas: fc.constantFrom([0.9, 0.95] as const, [0, 0.999] as const),
      }),
    )
    const scale = fc.integer({ min: -60, max: 20 })
    await fc.assert(
      fc.asyncProperty(outer, length, fc.nat(), scale, async (options, n, seed, exponent) => {
        const oracle = new OracleOuter(options, heavy(seed, n))
        let state = initialOuterState(options, heavy(seed, n))
        const own = initialOuterState(options, heavy(seed, n))
        let inPlace = own
        for (let round = 0; round < 3; round++) {
          const g = heavy(seed + round + 1, n).map((value) => value * 2 ** exponent)
          oracle.step(g)
          state = await outerStep(options, state, g)
          inPlace = await outerStep(options, inPlace, g, inPlace)
        }
        assert.equal(inPlace.theta, own.theta)
        oracle.arrays().forEach((expected, i) => {
          assertSameBits(arraysOf(state)[i]!, expected, `array ${i}`)
          assertSameBits(arraysOf(inPlace)[i]!, expected, `array ${i} in place`)
        })
      }),
      { numRuns: CASES },
    )
  })

  it('changes nothing when one new value would not be finite', async () => {
    const outer: OuterOptimizer = { kind: 'nesterov', lr: 1, momentum: 0.9 }
    const n = 200_000
    const before = initialOuterState(outer, heavy(3, n))
    const theta = before.theta.slice()
    const g = heavy(4, n)
    g[150_000] = 3e38
    const isVoid = (error: unknown) =>
      error instanceof VoidRoundError && Math.abs(error.index - 150_000) < 4096
    await assert.rejects(outerStep(outer, { ...before, steps: 1 }, g, before), isVoid)
    assertSameBits(before.theta, theta, 'theta')
    assert.ok(before.m!.every((value) => value === 0))
  })

  it('hashes states of every length as the oracle does', async () => {
    for (const [a, b] of [
      [0, 0],
      [1, 0],
      [262_143, 2],
      [262_144, 262_144],
      [300_001, 77_777],
    ] as const) {
      const [x, y] = [heavy(5, a), heavy(6, b)]
      assert.equal(await stateRoot(x, y), oracleRoot(x, y), `${a} and ${b}`)
    }
  })

  it('gives the same bits without the instructions of newer processors', function () {
    this.timeout(120_000)
    const mocha = resolve('node_modules/mocha/bin/mocha.js')
    const test = resolve('dist/test/diloco/golden.test.js')
    const args = [mocha, '--no-config', '--timeout', '60000', '--reporter', 'dot', test]
    const env = { ...process.env, TORCHBED_PORTABLE_KERNELS: '1' }
    const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: 'utf8' })
    assert.equal(status, 0, stdout)
    assert.match(stdout, /\d+ passing/)
  })
})
