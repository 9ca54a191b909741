/** Whole rounds of peers in one process, on a model that has an optimum: the mean of what the peers pull towards. */
import assert from 'node:assert/strict'
import {
  CODECS,
  ContributionValueError,
  DEFAULT_OUTER,
  localRounds,
  NumericsMemoryError,
  type Codec,
  type LocalRound,
  type RoundOptions,
  type RoundPeer,
} from '../../lib/diloco/index.js'
import { ConfigError } from '../../lib/errors.js'
import { heavy } from './support.js'

const N = 5000
const START = heavy(1, N)
const GOALS = Array.from({ length: 8 }, (_, index) => heavy(100 + 10 * index, N))
const goalOf = (index: number) => GOALS[index]!

/** Goes a fifth of the way to its goal. */
const honest = (peerId: string, index: number): RoundPeer => ({
  peerId,
  train: (base) => Promise.resolve({ local: towards(base, goalOf(index), 0.2), tokens: 100 }),
})
const towards = (base: Float32Array, goal: Float32Array, share: number) =>
  base.map((value, i) => value + share * (goal[i]! - value))

const peersOf = (count: number) =>
  Array.from({ length: count }, (_, index) => honest(`peer-${index}`, index))

/** Distance to the mean of all goals. */
function loss(theta: Float32Array, count: number): number {
  const goals = Array.from({ length: count }, (_, index) => goalOf(index))
  return Math.sqrt(
    theta.reduce((sum, value, i) => {
      const mean = goals.reduce((total, goal) => total + goal[i]!, 0) / count
      return sum + (value - mean) ** 2
    }, 0),
  )
}

const using = (codec: Codec): RoundOptions => ({ codec, outer: DEFAULT_OUTER })

async function run(
  peers: readonly RoundPeer[],
  rounds: number,
  options: RoundOptions,
): Promise<LocalRound[]> {
  const all = []
  for await (const round of localRounds(peers, START, rounds, options)) all.push(round)
  return all
}

describe('local rounds of DiLoCo', () => {
  for (const codec of Object.values(CODECS)) {
    it(`leave 2 to 8 peers with one state after every round, nearer to the optimum, with ${codec.name}`, async () => {
      for (let count = 2; count <= 8; count++) {
        const rounds = await run(peersOf(count), 8, using(codec))
        assert.equal(rounds.length, 8)
        for (const round of rounds) {
          assert.equal(round.divergent, 0)
          assert.deepEqual(round.roots, new Array(count).fill(round.roots[0]))
          assert.equal(round.outcomes.filter(({ kept }) => kept).length, count)
          assert.equal(round.payloadBytes, codec.encodedLength(N))
        }
        assert.equal(new Set(rounds.map(({ roots }) => roots[0])).size, 8, 'each round moves')
        assert.ok(loss(rounds[7]!.state.theta, count) < loss(START, count), `${count} peers`)
      }
    })
  }

  it('leave a peer with a NaN out of the round, and the others go on', async () => {
    const broken: RoundPeer = {
      peerId: 'broken',
      train: (base) => {
        const local = base.slice()
        local[7] = NaN
        return Promise.resolve({ local, tokens: 100 })
      },
    }
    const [with3] = await run([...peersOf(3), broken], 1, using(CODECS.int8))
    const [without] = await run(peersOf(3), 1, using(CODECS.int8))
    assert.deepEqual(
      with3!.withheld.map(({ peerId, error }) => [peerId, error instanceof ContributionValueError]),
      [['broken', true]],
    )
    assert.equal(with3!.divergent, 0)
    assert.equal(with3!.roots[3], without!.roots[0])
  })

  it('refuse a contribution a hundred times as large as the others, and use these as if it were not there', async () => {
    const liar: RoundPeer = {
      peerId: 'liar',
      train: (base) => Promise.resolve({ local: towards(base, goalOf(0), 20), tokens: 100 }),
    }
    const withLiar = await run([...peersOf(3), liar], 3, using(CODECS.int4))
    const without = await run(peersOf(3), 3, using(CODECS.int4))
    for (const [index, round] of withLiar.entries()) {
      assert.deepEqual(round.outcomes[0], { peerId: 'liar', kept: false, reason: 'norm' })
      assert.equal(round.divergent, 0)
      assert.deepEqual(round.state.theta, without[index]!.state.theta)
    }
  })

  it('leave the parameters as they are when no peer has anything usable', async () => {
    const broken = peersOf(2).map(({ peerId }) => ({
      peerId,
      train: () => Promise.resolve({ local: new Float32Array(N).fill(Infinity), tokens: 1 }),
    }))
    const [round] = await run(broken, 1, using(CODECS.fp32))
    assert.ok(round!.isVoid)
    assert.equal(round!.withheld.length, 2)
    assert.deepEqual(round!.state.theta, START)
  })

  it('refuse no peers, a peer twice, and parameters of another length', async () => {
    const options = using(CODECS.fp32)
    await assert.rejects(run([], 1, options), ConfigError)
    await assert.rejects(run([...peersOf(2), honest('peer-1', 5)], 1, options), /peer-1\\?" twice/)
    const shrunk = {
      peerId: 'a',
      train: () => Promise.resolve({ local: new Float32Array(N - 1), tokens: 1 }),
    }
    await assert.rejects(run([shrunk], 1, options), NumericsMemoryError)
  })
})
