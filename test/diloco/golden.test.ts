/** The arithmetic of DiLoCo, native and in the plain oracle, against values computed by an independent program. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import {
  aggregate,
  arraysOf,
  CODECS,
  combine,
  contribute,
  initialOuterState,
  mix,
  outerStep,
  owedAfter,
  PayloadError,
  screen,
  stateRoot,
  tokenWeights,
  type Codec,
  type CodecName,
  type OuterOptimizer,
} from '../../lib/diloco/index.js'
import { ORACLE_CODECS } from './oracle/codecs.js'
import {
  oracleKrum,
  oracleMean,
  oracleMedian,
  oracleNorm,
  OracleOuter,
  oracleRoot,
  oracleTrimmed,
} from './oracle/rounds.js'
import { floatsOf, heavy, hex, uniform, unhex } from './support.js'

interface Small {
  readonly n: number
  readonly payload: string
  readonly decoded: string
}
interface Golden {
  readonly codecs: Record<CodecName, Record<string, Small>>
  readonly 'refused, 37 values': Record<CodecName, string[]>
  readonly inputs: Record<string, string>
  readonly means: Record<string, never>
  readonly outer: Record<string, Record<string, string>>
  readonly toy: Record<
    string,
    { rounds: { payloads: string[]; state_root: string }[]; error_root: string }
  >
  readonly 'mix(0.5)': string
  readonly 'uniform(7, 8)': string
  readonly 'heavy(13, 8)': string
  readonly 'state_root of uniform(7, 600000)': string
}

const golden = JSON.parse(readFileSync('test/diloco/golden.json', 'utf8')) as Golden
const names = Object.keys(CODECS) as CodecName[]
const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex')

/** A C99 float in hex, as Python writes it. */
function fromHex(text: string): number {
  const [, whole, fraction, exponent] = /^0x(\d)\.([0-9a-f]*)p([+-]\d+)$/.exec(text)!
  return (Number(whole) + parseInt(fraction!, 16) / 16 ** fraction!.length) * 2 ** Number(exponent)
}

const OUTER: Record<string, OuterOptimizer> = {
  sgd: { kind: 'sgd', lr: 0.7 },
  momentum: { kind: 'momentum', lr: 0.7, momentum: 0.9 },
  nesterov: { kind: 'nesterov', lr: 0.7, momentum: 0.9 },
  adamw: { kind: 'adamw', lr: 0.7 },
}

describe('the golden values of DiLoCo', () => {
  it('begin with the same test data', () => {
    assert.equal(hex(uniform(7, 8)), golden['uniform(7, 8)'])
    assert.equal(hex(heavy(13, 8)), golden['heavy(13, 8)'])
  })

  for (const name of names) {
    const codec = CODECS[name]
    const oracle = ORACLE_CODECS[name]

    it(`${name} encodes and decodes to the same bits, native and oracle`, async () => {
      for (const [input, text] of Object.entries(golden.inputs)) {
        const { n, payload, decoded } = golden.codecs[name][input]!
        const x = floatsOf(text)
        assert.equal(hex(oracle.encode(x)), payload, `oracle ${input}`)
        assert.equal(hex(oracle.receive(unhex(payload), n)), decoded, `oracle ${input}`)
        assert.equal(hex(await codec.encode(x)), payload, input)
        assert.equal(hex(await codec.decode(unhex(payload), n)), decoded, input)
      }
      const big = heavy(13, 200_001)
      const expected = golden.codecs[name]['heavy(13, 200001)'] as unknown as Record<
        string,
        unknown
      >
      const payload = await codec.encode(big)
      assert.equal(payload.length, expected.payload_bytes)
      assert.equal(sha256(payload), expected.payload_sha256)
      const back = await codec.decode(payload, big.length)
      assert.equal(await stateRoot(back), expected.decoded_root)
      assert.equal(oracleRoot(back), expected.decoded_root)
      assert.equal(sha256(oracle.encode(big)), expected.payload_sha256)
    })

    it(`${name} refuses the payloads that no sender writes`, async () => {
      const lies = golden['refused, 37 values'][name]
      assert.ok(lies.length >= 3)
      for (const lie of lies) {
        assert.throws(() => oracle.receive(unhex(lie), 37), RangeError)
        await assert.rejects(codec.decode(unhex(lie), 37), PayloadError)
        await assert.rejects(codec.norm(unhex(lie), 37), PayloadError)
      }
    })

    for (const kind of ['nesterov', 'adamw'] as const) {
      it(`three peers with ${name} and ${kind} have these roots after three rounds`, async () => {
        await toyRun(codec, kind)
      })
    }
  }

  it('norms, screens and means are the same bits, native and oracle', async () => {
    const n = 70_000
    const five = [20, 23, 26, 29].map((seed) => heavy(seed, n))
    five.push(heavy(90, n).map((value) => 4 * value))
    const { means } = golden
    const norms = (means.norms as unknown as string[]).map(fromHex)
    const payloads = await Promise.all(five.map((x) => CODECS.fp32.encode(x)))
    assert.deepEqual(await Promise.all(payloads.map((p) => CODECS.fp32.norm(p, n))), norms)
    assert.deepEqual(five.map(oracleNorm), norms)

    const verdicts = (text: unknown) =>
      (text as [boolean, string][]).map(([kept, factor]) => ({ kept, factor: fromHex(factor) }))
    const screened = screen(norms, null).verdicts
    assert.deepEqual(screened, verdicts(means.screen))
    const two = 'screen of the last two, usual 10'
    assert.deepEqual(screen(norms.slice(3), 10).verdicts, verdicts(means[two]))
    assert.deepEqual(tokenWeights([7, 100, 90, 10 ** 15]), means.token_weights)

    const weights = [1, 2, 3, 4, 5]
    const factors = screened.map(({ factor }) => factor)
    const ones = weights.map(() => 1)
    const rootOf = async (
      count: number,
      factors: number[],
      kind: Parameters<typeof combine>[3],
    ) => {
      const given = { payloads: payloads.slice(0, count), weights, factors }
      given.weights = weights.slice(0, count)
      return stateRoot(await aggregate(CODECS.fp32, n, await combine(CODECS.fp32, n, given, kind)))
    }
    const expected = means as Record<string, unknown>
    for (const [title, actual, oracle] of [
      ['weighted_mean(1,2,3,4,5)', await rootOf(5, ones, 'mean'), oracleMean(five, weights, ones)],
      [
        'weighted_mean(1,2,3,4,5) clipped',
        await rootOf(5, factors, 'mean'),
        oracleMean(five, weights, factors),
      ],
      ['coordinate_median', await rootOf(5, ones, 'median'), oracleMedian(five)],
      [
        'coordinate_median of the first four',
        await rootOf(4, ones, 'median'),
        oracleMedian(five.slice(0, 4)),
      ],
      ['trimmed_mean(1)', await rootOf(5, ones, { trimmed: 1 }), oracleTrimmed(five, 1)],
    ] as const) {
      assert.equal(actual, expected[title], title)
      assert.equal(oracleRoot(oracle), expected[title], `oracle ${title}`)
    }
    const krum = await combine(
      CODECS.fp32,
      n,
      { payloads, weights },
      { krum: { faulty: 1, keep: 3 } },
    )
    assert.deepEqual(krum.kept, expected['multi_krum(faulty 1, keep 3)'])
    assert.deepEqual(oracleKrum(five, 1, 3), expected['multi_krum(faulty 1, keep 3)'])
  })

  for (const [title, expected] of Object.entries(golden.outer)) {
    it(`four outer steps of ${title} are the same bits, native and oracle`, async () => {
      const [kind, decay] = title.split(' wd=') as [keyof typeof OUTER, string]
      const outer = { ...OUTER[kind]!, weightDecay: Number(decay) }
      let state = initialOuterState(outer, uniform(5, 1000))
      const oracle = new OracleOuter(outer, uniform(5, 1000))
      for (let round = 0; round < 4; round++) {
        const g = heavy(60 + 3 * round, 1000)
        state = await outerStep(outer, state, g)
        oracle.step(g)
        if (round > 0) continue
        assert.equal(hex(state.theta.slice(0, 4)), expected.first_step_first_4)
        assert.equal(hex(oracle.theta.slice(0, 4)), expected.first_step_first_4)
      }
      assert.equal(hex(state.theta.slice(0, 4)), expected.after_4_steps_first_4)
      assert.equal(await stateRoot(...arraysOf(state)), expected.state_root)
      assert.equal(oracleRoot(...oracle.arrays()), expected.state_root)
    })
  }

  it('mixed parameters and the root of several leaves are the same bits', async () => {
    const mixed = await mix(uniform(1, 1000), uniform(2, 1000), 0.5)
    assert.equal(await stateRoot(mixed), golden['mix(0.5)'])
    const several = uniform(7, 600_000)
    assert.equal(await stateRoot(several), golden['state_root of uniform(7, 600000)'])
    assert.equal(oracleRoot(several), golden['state_root of uniform(7, 600000)'])
  })
})

async function toyRun(codec: Codec, kind: 'nesterov' | 'adamw'): Promise<void> {
  const n = 5000
  const expected = golden.toy[`${codec.name}/${kind}`]!
  const outer = OUTER[kind]!
  let state = initialOuterState(outer, uniform(7, n))
  let usual: number | null = null
  const owed: Float32Array[] = [0, 1, 2].map(() => new Float32Array(n))
  for (const [round, { payloads: sums, state_root }] of expected.rounds.entries()) {
    const base = state.theta
    const payloads: Uint8Array[] = []
    for (const peer of [0, 1, 2]) {
      const moved = heavy(1000 * (round + 1) + 10 * peer, n)
      const local = base.map((value, i) => value - moved[i]!)
      const sent = await contribute({ codec, base, local, owed: owed[peer]! })
      owed[peer] = await owedAfter(codec, sent)
      payloads.push(sent.payload)
    }
    assert.deepEqual(payloads.map(sha256), sums)
    const norms = await Promise.all(payloads.map((payload) => codec.norm(payload, n)))
    const { verdicts, usualNorm } = screen(norms, usual)
    usual = usualNorm
    assert.ok(verdicts.every(({ kept }) => kept))
    const weights = tokenWeights([100, 200, 300])
    const given = { payloads, weights, factors: verdicts.map(({ factor }) => factor) }
    const g = await aggregate(codec, n, await combine(codec, n, given))
    state = await outerStep(outer, state, g)
    assert.equal(await stateRoot(...arraysOf(state)), state_root)
  }
  assert.equal(await stateRoot(...owed), expected.error_root)
}
