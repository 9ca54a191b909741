/**
 * Rounds of peers in one process: each trains from its own replica, all exchange what they have learned, and each takes
 * the outer step by itself.
 *
 * Every peer has a replica of its own, so that what is compared after a round are the results of separate
 * calculations. All peers hear all contributions here; nothing is lost, and nothing has to be agreed on.
 */
import { ConfigError } from '../errors.js'
import { applyRound, byUtf8, type AppliedRound, type Outcome } from './apply.js'
import type { ReplicaState, RoundOptions } from './apply.js'
import { contribute, owedAfter, type EncodedContribution } from './error-feedback.js'
import { ContributionValueError } from './errors.js'
import { arraysOf, initialOuterState } from './outer.js'
import { stateRoot } from './state-root.js'

/** What a peer has done in its inner steps. */
export interface InnerWork {
  /** The parameters after them, as many as before; borrowed until the round is over. */
  readonly local: Float32Array
  /** What the peer has trained on; a whole number. */
  readonly tokens: number
}

/** A peer of {@link localRounds}. */
export interface RoundPeer {
  readonly peerId: string
  /**
   * Takes inner steps.
   *
   * @param base the peer's replica of the parameters; not to be changed
   * @param round the first being 0
   */
  train(base: Float32Array, round: number): Promise<InnerWork>
}

/** A contribution that its own peer could not send: its parameters had become unusable. */
export interface Withheld {
  readonly peerId: string
  readonly error: ContributionValueError
}

/** What a round has come to. */
export interface LocalRound {
  /** The first being 0. */
  readonly round: number
  /** By the UTF-8 bytes of peer ids; without those that were withheld. */
  readonly outcomes: readonly Outcome[]
  readonly withheld: readonly Withheld[]
  /** Whether the parameters stayed as they were: nothing could be used. */
  readonly isVoid: boolean
  /** The `stateRoot` of each replica, in the order of `peers`. */
  readonly roots: readonly string[]
  /** Replicas that differ from the first; 0, or there is a fault. */
  readonly divergent: number
  /** Length of one payload, in bytes. */
  readonly payloadBytes: number
  /** Milliseconds of the inner steps, the slowest peer's. */
  readonly innerMs: number
  /** Milliseconds of the rest: encoding, the outer steps, the roots. */
  readonly exchangeMs: number
  /** The first replica; borrowed until the next round is asked for. */
  readonly state: ReplicaState
}

interface Replica {
  readonly peer: RoundPeer
  state: ReplicaState
  owed: Float32Array | null
}

/**
 * Trains `rounds` rounds. A peer whose values become unusable is left out of the round, as is one whose contribution
 * is refused; the others go on.
 *
 * @param initial the parameters that all begin with; copied
 * @throws ConfigError when there is no peer, one twice, or an option is not possible
 * @throws NumericsMemoryError when `local` has not as many elements as the parameters
 */
export async function* localRounds(
  peers: readonly RoundPeer[],
  initial: Float32Array,
  rounds: number,
  options: RoundOptions,
): AsyncGenerator<LocalRound, void> {
  refuseBadPeers(peers)
  const replicas = peers.map((peer): Replica => {
    const outer = initialOuterState(options.outer, initial.slice())
    return { peer, state: { ...outer, round: 0, usualNorm: null }, owed: null }
  })
  for (let round = 0; round < rounds; round++) yield await oneRound(replicas, round, options)
}

async function oneRound(
  replicas: readonly Replica[],
  round: number,
  options: RoundOptions,
): Promise<LocalRound> {
  const began = performance.now()
  const work = await Promise.all(replicas.map(({ peer, state }) => peer.train(state.theta, round)))
  const trained = performance.now()
  const withheld: Withheld[] = []
  const sent = new Map<string, EncodedContribution & { readonly tokens: number }>()
  for (const [index, { peer, state, owed }] of replicas.entries()) {
    const done = work[index]
    if (done === undefined) continue
    const input = { codec: options.codec, base: state.theta, local: done.local, owed }
    try {
      sent.set(peer.peerId, { ...(await contribute(input)), tokens: done.tokens })
    } catch (error) {
      if (!(error instanceof ContributionValueError)) throw error
      withheld.push({ peerId: peer.peerId, error })
    }
  }
  const contributions = [...sent].map(([peerId, { payload, tokens }]) => ({
    peerId,
    payload,
    tokens,
  }))
  let first: AppliedRound | undefined
  const roots: string[] = []
  for (const replica of replicas) {
    const applied = await applyRound(replica.state, contributions, options)
    const own = sent.get(replica.peer.peerId)
    if (own !== undefined) replica.owed = await owedBy(replica.peer.peerId, own, applied, options)
    replica.state = applied.state
    roots.push(await stateRoot(...arraysOf(applied.state)))
    first ??= applied
  }
  if (first === undefined) throw new TypeError('a round without peers')
  return {
    round,
    outcomes: first.outcomes,
    withheld: withheld.sort((a, b) => byUtf8(a.peerId, b.peerId)),
    isVoid: first.isVoid,
    roots,
    divergent: roots.filter((root) => root !== roots[0]).length,
    payloadBytes: options.codec.encodedLength(first.state.theta.length),
    innerMs: trained - began,
    exchangeMs: performance.now() - trained,
    state: first.state,
  }
}

/** What was sent but not used is owed whole. */
async function owedBy(
  peerId: string,
  own: EncodedContribution,
  { outcomes, isVoid }: AppliedRound,
  { codec }: RoundOptions,
): Promise<Float32Array> {
  const isUsed = !isVoid && outcomes.some((outcome) => outcome.peerId === peerId && outcome.kept)
  return isUsed ? owedAfter(codec, own) : own.total
}

function refuseBadPeers(peers: readonly RoundPeer[]): void {
  const ids = peers.map(({ peerId }) => peerId)
  const twice = ids.find((id, index) => ids.indexOf(id) !== index)
  if (peers.length > 0 && twice === undefined) return
  const problem = twice === undefined ? 'no peer' : `the peer ${JSON.stringify(twice)} twice`
  const message = `there is ${problem}; name at least one, each once`
  throw new ConfigError('Cannot train with DiLoCo', [{ path: 'peers', message }])
}
