/** Rounds of peers in one process: all replicas end with one root, whatever the codec, the aggregate and the optimizer. */
import assert from 'node:assert/strict'
import {
  applyRound,
  arraysOf,
  CODECS,
  contribute,
  initialOuterState,
  learningRate,
  owedAfter,
  stateRoot,
  type Aggregate,
  type CodecName,
  type Contributed,
  type OuterOptimizer,
  type ReplicaState,
  type RoundOptions,
} from '../../lib/diloco/index.js'
import { ConfigError } from '../../lib/errors.js'
import { heavy } from './support.js'

const N = 9000
const PEERS = ['a', 'é', 'z', '\u{1F600}', '\uFF5E']
const NESTEROV: OuterOptimizer = { kind: 'nesterov', lr: 0.7, momentum: 0.9 }
const start = (outer: OuterOptimizer): ReplicaState => ({
  ...initialOuterState(outer, heavy(1, N)),
  round: 0,
  usualNorm: null,
})
const rootOf = (state: ReplicaState) => stateRoot(...arraysOf(state))

interface Peer {
  state: ReplicaState
  owed: Float32Array | null
}

/** One round of all peers; each applies what was sent in an order of its own. */
async function round(
  peers: readonly Peer[],
  options: RoundOptions,
  number: number,
): Promise<string[]> {
  const { codec } = options
  const sent = await Promise.all(
    peers.map(async ({ state, owed }, i) => {
      const moved = heavy(100 * number + i, N)
      const local = state.theta.map((value, j) => value - moved[j]!)
      return contribute({ codec, base: state.theta, local, owed })
    }),
  )
  const contributions = sent.map(({ payload }, i): Contributed => {
    return { peerId: PEERS[i]!, payload, tokens: 100 + i }
  })
  for (const [i, peer] of peers.entries()) {
    const order = [...contributions.slice(i), ...contributions.slice(0, i)]
    const applied = await applyRound(peer.state, order, options, i === 0 ? peer.state : undefined)
    assert.equal(applied.isVoid, false)
    peer.state = applied.state
    peer.owed = await owedAfter(codec, sent[i]!)
  }
  return Promise.all(peers.map(({ state }) => rootOf(state)))
}

describe('a round of DiLoCo, applied by several replicas', () => {
  const aggregates: Aggregate[] = [
    'mean',
    'median',
    { trimmed: 1 },
    { krum: { faulty: 1, keep: 3 } },
  ]
  for (const name of Object.keys(CODECS) as CodecName[]) {
    it(`leaves all with one root under ${name} and every aggregate, and moves them`, async () => {
      for (const aggregate of aggregates) {
        const options: RoundOptions = { codec: CODECS[name], outer: NESTEROV, aggregate }
        const peers = PEERS.map((): Peer => ({ state: start(NESTEROV), owed: null }))
        const seen = new Set([await rootOf(peers[0]!.state)])
        for (let number = 1; number <= 3; number++) {
          const roots = new Set(await round(peers, options, number))
          assert.equal(roots.size, 1)
          seen.add([...roots][0]!)
        }
        assert.equal(seen.size, 4)
        assert.equal(peers[0]!.state.round, 3)
      }
    })
  }

  for (const outer of [
    { kind: 'sgd', lr: 1 },
    { kind: 'momentum', lr: 0.5, momentum: 0.9 },
    { kind: 'adamw', lr: 0.01 },
  ] as const) {
    it(`leaves all with one root under ${outer.kind}`, async () => {
      const peers = PEERS.map((): Peer => ({ state: start(outer), owed: null }))
      for (let number = 1; number <= 2; number++) {
        const roots = await round(peers, { codec: CODECS.int4, outer }, number)
        assert.equal(new Set(roots).size, 1)
      }
    })
  }

  const contribution = async (peerId: string, x: Float32Array): Promise<Contributed> => {
    return { peerId, payload: await CODECS.fp32.encode(x), tokens: 1 }
  }
  const options: RoundOptions = { codec: CODECS.fp32, outer: { kind: 'sgd', lr: 1 } }

  it('leaves out a payload that is damaged and one whose norm is far above the others', async () => {
    const state = start(options.outer)
    const good = await Promise.all(['a', 'b', 'c'].map((id, i) => contribution(id, heavy(i, N))))
    const damaged = { peerId: 'd', payload: new Uint8Array(7), tokens: 1 }
    const far = await contribution(
      'e',
      heavy(9, N).map((value) => value * 100),
    )
    const all = await applyRound(state, [far, damaged, ...good], options)
    assert.deepEqual(
      all.outcomes.map((outcome) => (outcome.kept ? outcome.peerId : outcome.reason)),
      ['a', 'b', 'c', 'length', 'norm'],
    )
    // Claimed tokens of those left out do not count either.
    const without = await applyRound(state, good, options)
    assert.equal(await rootOf(all.state), await rootOf(without.state))
  })

  it('is void when nothing is left, or the step overflows; then the state stays and the round goes on', async () => {
    const state = start(options.outer)
    const before = await rootOf(state)
    const nothing = await applyRound(
      state,
      [{ peerId: 'a', payload: new Uint8Array(1), tokens: 1 }],
      options,
    )
    assert.equal(nothing.isVoid, true)
    assert.equal(nothing.state.round, 1)
    const huge = await contribution('a', new Float32Array(N).fill(2 ** 100))
    const steep: RoundOptions = { ...options, outer: { kind: 'sgd', lr: 3e38 } }
    const overflow = await applyRound(state, [huge], steep, state)
    assert.equal(overflow.isVoid, true)
    assert.equal(await rootOf(overflow.state), before)
  })

  it('counts peers alike when asked to, or when none claims a token', async () => {
    const state = start(options.outer)
    const [a, b] = [await contribution('a', heavy(1, N)), await contribution('b', heavy(2, N))]
    const claims = [
      { ...a, tokens: 1 },
      { ...b, tokens: 3 },
    ]
    const equal = await applyRound(state, claims, { ...options, weights: 'equal' })
    const none = await applyRound(
      state,
      [a, b].map((it) => ({ ...it, tokens: 0 })),
      options,
    )
    const claimed = await applyRound(state, claims, options)
    assert.equal(await rootOf(equal.state), await rootOf(none.state))
    assert.notEqual(await rootOf(equal.state), await rootOf(claimed.state))
  })

  it('has a learning rate that depends on the number of the round alone', () => {
    const linear = { kind: 'linear', warmup: 4, rounds: 8, end: 0.5 } as const
    const rates = [0, 3, 4, 6, 8, 100].map((round) => learningRate(1, linear, round))
    assert.deepEqual(rates, [0.2, 0.8, 1, 0.75, 0.5, 0.5])
    const steps = {
      kind: 'steps',
      factors: [
        [2, 0.5],
        [5, 0.25],
      ],
    } as const
    assert.deepEqual(
      [0, 2, 4, 5].map((round) => learningRate(2, steps, round)),
      [2, 1, 1, 0.5],
    )
    assert.throws(() => learningRate(1, { kind: 'linear', rounds: 0 }, 0), ConfigError)
  })

  it('refuses options that are not possible with a ConfigError', async () => {
    const state = start(NESTEROV)
    const one = [await contribution('a', heavy(1, N))]
    for (const wrong of [
      { outer: { kind: 'nesterov', lr: -1, momentum: 0.9 } },
      { outer: { kind: 'nesterov', lr: 1, momentum: 1 } },
      { outer: { kind: 'adamw', lr: 1 } },
      { aggregate: { trimmed: 1 } },
      { aggregate: { krum: { faulty: 0, keep: 0 } } },
      { screen: { refuseAbove: 1 } },
    ] as Partial<RoundOptions>[]) {
      const whole = { codec: CODECS.fp32, outer: NESTEROV, ...wrong }
      await assert.rejects(applyRound(state, one, whole), ConfigError, JSON.stringify(wrong))
    }
  })
})
