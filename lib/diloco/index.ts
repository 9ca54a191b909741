/**
 * torchbed/diloco: the arithmetic of DiLoCo (arXiv 2311.08105), in which peers train apart for many steps and then
 * exchange what they have learned.
 *
 * The arithmetic gives the same bits on every machine, whatever its processor and its number of threads: replicas that
 * apply the same contributions have one {@link stateRoot}. {@link lead} and {@link receive} are how members agree on which contributions those are.
 * {@link localRounds} runs whole rounds of peers in one process, which {@link projectPeer} makes of models; all else works without Python.
 * Nothing here sends or stores: that is its caller's.
 *
 * @packageDocumentation
 */
export {
  abandon,
  lead,
  receive,
  startAgreement,
  type AcceptedList,
  type Agreement,
  type AgreementMessage,
  type AgreementRecord,
  type AgreementStep,
  type Ballot,
  type ContributionList,
  type ListedContribution,
  type Proposal,
} from './agreement.js'
export {
  applyRound,
  type AppliedRound,
  type Contributed,
  type Outcome,
  type ReplicaState,
  type RoundOptions,
} from './apply.js'
export { CODECS } from './codecs/index.js'
export type { Codec, CodecName } from './codecs/codec.js'
export {
  contribute,
  owedAfter,
  type ContributionInput,
  type EncodedContribution,
} from './error-feedback.js'
export {
  ContributionValueError,
  NumericsMemoryError,
  PayloadError,
  VoidRoundError,
  type PayloadRefusal,
} from './errors.js'
export {
  localRounds,
  type InnerWork,
  type LocalRound,
  type RoundPeer,
  type Withheld,
} from './local.js'
export { aggregate, combine, tokenWeights } from './mean.js'
export type { Aggregate, Combination, Weighted } from './mean.js'
export {
  arraysOf,
  DEFAULT_OUTER,
  initialOuterState,
  mix,
  outerStep,
  type OuterMemory,
  type OuterOptimizer,
  type OuterState,
} from './outer.js'
export { parametersOf, projectPeer, type ProjectPeerParts } from './project-peer.js'
export { aggregateGradients, plainOuterStep } from './reference/aggregates.js'
export { decodeGradient, encodeGradient } from './reference/gradient-codecs.js'
export { learningRate, type Schedule } from './schedule.js'
export { screen, type Screening, type ScreenOptions, type Verdict } from './screen.js'
export { stateRoot } from './state-root.js'
