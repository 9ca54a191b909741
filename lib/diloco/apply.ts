/**
 * What every replica does with the contributions that a round has decided: screen, combine, step.
 *
 * The result depends on the state, the decided payloads and the options alone, so that replicas that agree on these
 * agree on every bit of the new state.
 */
import type { Codec } from './codecs/codec.js'
import { PayloadError, VoidRoundError, type PayloadRefusal } from './errors.js'
import { checkLengths } from './memory.js'
import { combine, named, tokenWeights, type Aggregate } from './mean.js'
import { numerics } from './numerics.js'
import { stepWith, type OuterMemory, type OuterOptimizer, type OuterState } from './outer.js'
import { learningRate, type Schedule } from './schedule.js'
import { screen, type ScreenOptions } from './screen.js'

/** What is replicated of a training. */
export interface ReplicaState extends OuterState {
  /** The round that comes next, the first being 0. */
  readonly round: number
  /** As {@link screen} gave it. */
  readonly usualNorm: number | null
}

/** A decided contribution. */
export interface Contributed {
  readonly peerId: string
  readonly payload: Uint8Array
  /** Claimed; a whole number. */
  readonly tokens: number
}

/** What all members have agreed on. */
export interface RoundOptions {
  readonly codec: Codec
  readonly outer: OuterOptimizer
  /** Default `constant`. */
  readonly schedule?: Schedule
  /** Default `mean`. */
  readonly aggregate?: Aggregate
  /** Default `tokens`: {@link tokenWeights}. */
  readonly weights?: 'tokens' | 'equal'
  readonly screen?: ScreenOptions
}

/** What became of a contribution. */
export type Outcome =
  | { readonly peerId: string; readonly kept: true; readonly factor: number }
  | {
      readonly peerId: string
      readonly kept: false
      /** `norm`: far above the usual one; `distance`: Krum left it out; else what is wrong with the payload. */
      readonly reason: 'norm' | 'distance' | PayloadRefusal
    }

/** A round applied. */
export interface AppliedRound {
  readonly state: ReplicaState
  /** In the order of peer ids by UTF-8 bytes. */
  readonly outcomes: readonly Outcome[]
  /** Whether parameters and moments stayed as they were: nothing was kept, or the step gave a value that is not finite. */
  readonly isVoid: boolean
}

/**
 * Applies a decided round.
 *
 * @param into where the new state goes, as of `outerStep`; of a void round nothing is written
 * @throws ConfigError when an option is not possible
 * @throws NumericsMemoryError when an array cannot be borrowed, or has a wrong length
 */
export async function applyRound(
  state: ReplicaState,
  contributions: readonly Contributed[],
  options: RoundOptions,
  into?: OuterMemory,
): Promise<AppliedRound> {
  const { codec, outer, schedule = 'constant' } = options
  const count = state.theta.length
  const lr = learningRate(outer.lr, schedule, state.round)
  const ordered = [...contributions].sort((a, b) => byUtf8(a.peerId, b.peerId))
  const outcomes = new Map<string, Outcome>()
  const drop = (peerId: string, reason: Extract<Outcome, { kept: false }>['reason']) =>
    outcomes.set(peerId, { peerId, kept: false, reason })

  const whole: (Contributed & { readonly norm: number })[] = []
  for (const contribution of ordered) {
    try {
      whole.push({ ...contribution, norm: await codec.norm(contribution.payload, count) })
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error
      drop(contribution.peerId, error.reason)
    }
  }
  const { verdicts, usualNorm } = screen(
    whole.map(({ norm }) => norm),
    state.usualNorm,
    options.screen,
  )
  const kept = whole.flatMap((contribution, index) => {
    const verdict = verdicts[index]
    if (verdict?.kept) return [{ ...contribution, factor: verdict.factor }]
    drop(contribution.peerId, 'norm')
    return []
  })
  const tokens = kept.map((contribution) => contribution.tokens)
  const weighted = options.weights === 'equal' ? tokens.map(() => 1) : tokenWeights(tokens)
  const next = { round: state.round + 1, usualNorm }
  const answer = (to: OuterState, isVoid: boolean): AppliedRound => ({
    state: { ...to, ...next },
    outcomes: ordered.flatMap(({ peerId }) => outcomes.get(peerId) ?? []),
    isVoid,
  })
  if (kept.length === 0) return answer(state, true)

  const combination = await combine(
    codec,
    count,
    {
      payloads: kept.map(({ payload }) => payload),
      // With no tokens claimed at all, all count alike.
      weights: weighted.some((weight) => weight > 0) ? weighted : weighted.map(() => 1),
      factors: kept.map(({ factor }) => factor),
    },
    options.aggregate,
  )
  kept.forEach(({ peerId, factor }, index) => {
    if (combination.kept.includes(index)) outcomes.set(peerId, { peerId, kept: true, factor })
    else drop(peerId, 'distance')
  })
  const { payloads, mean } = combination
  checkLengths(count, { m: state.m, v: state.v })
  try {
    const stepped = await stepWith(
      { ...outer, lr },
      state,
      named(payloads),
      into,
      (step, arrays) => numerics().apply(...step, ...arrays, codec.number, payloads, ...mean),
      (fault) => codec.refuse(fault),
    )
    return answer(stepped, false)
  } catch (error) {
    if (!(error instanceof VoidRoundError)) throw error
    return answer(state, true)
  }
}

/** The order of peers everywhere: their ids by UTF-8 bytes. */
export function byUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
