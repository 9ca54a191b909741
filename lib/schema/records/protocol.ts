/** The training protocol of a revision, and the policy of DiLoCo (spec formats#enums and diloco-reference#policy). */

import type { Infer } from '../codec.js'
import { record, skipNull, withDefault } from '../containers.js'
import { bool, u16, u32, u8 } from '../primitives.js'
import { names, variants } from '../variants.js'

/** How a pseudo-gradient is compressed for transport. */
export const GradientCodec = variants('GradientCodec', {
  Fp32: null,
  Fp16: null,
  BlockwiseInt8: record('BlockwiseInt8', { block_size: u32 }),
  Qsgd: record('Qsgd', { bits: u8, stochastic: bool }),
  LowRank: record('LowRank', { rank: u16 }),
  SignSgd: record('SignSgd', { error_feedback: bool }),
})
export type GradientCodec = Infer<typeof GradientCodec>

/** The sign that is taken where as many peers vote for either. */
export const SignMajorityTieBreak = names('SignMajorityTieBreak', 'Zero', 'Positive', 'Negative')
export type SignMajorityTieBreak = Infer<typeof SignMajorityTieBreak>

/** How pseudo-gradients become one. Agreement is in millionths of the peers. */
export const DiLoCoAggregationPolicy = variants('DiLoCoAggregationPolicy', {
  Mean: null,
  CoordinateMedian: null,
  SignMajority: record('SignMajority', {
    minimum_agreement_micros: withDefault(u32, () => 0),
    tie_break: withDefault(SignMajorityTieBreak, () => 'Zero' as const),
  }),
})
export type DiLoCoAggregationPolicy = Infer<typeof DiLoCoAggregationPolicy>

/** How the peers of a DiLoCo round find each other. */
export const DiLoCoTopologyMode = names(
  'DiLoCoTopologyMode',
  'DeterministicRendezvous',
  'GossipNeighborhood',
  'RelayAssisted',
)
export type DiLoCoTopologyMode = Infer<typeof DiLoCoTopologyMode>

/** The groups in which peers of a DiLoCo round exchange. */
export const DiLoCoTopologyPolicy = record('DiLoCoTopologyPolicy', {
  mode: withDefault(DiLoCoTopologyMode, () => 'DeterministicRendezvous' as const),
  fanout: withDefault(u16, () => 8),
  prefer_low_latency: withDefault(bool, () => true),
  allow_relay: withDefault(bool, () => true),
})
export type DiLoCoTopologyPolicy = Infer<typeof DiLoCoTopologyPolicy>

/** How a peer that was away takes part again. */
export const DiLoCoRejoinPolicy = record('DiLoCoRejoinPolicy', {
  max_fast_forward_round_lag: withDefault(u32, () => 4),
  require_checkpoint_hash_match: withDefault(bool, () => true),
})
export type DiLoCoRejoinPolicy = Infer<typeof DiLoCoRejoinPolicy>

/** The optimizer of the outer step; rates are in millionths. */
export const OuterOptimizerPolicy = variants('OuterOptimizerPolicy', {
  Sgd: record('Sgd', {
    learning_rate_micros: u32,
    momentum_micros: skipNull(u32),
    nesterov: withDefault(bool, () => false),
    weight_decay_micros: skipNull(u32),
  }),
})
export type OuterOptimizerPolicy = Infer<typeof OuterOptimizerPolicy>

/** The shape of the policy; whether its numbers make sense together is checked where it is used. */
export const DiLoCoPolicy = record('DiLoCoPolicy', {
  num_inner_steps: u32,
  target_group_size: u16,
  minimum_group_size: u16,
  matchmaking_timeout_ms: u32,
  aggregation_timeout_ms: u32,
  checkpoint_interval_rounds: u32,
  codec: withDefault(GradientCodec, () => 'Fp16' as const),
  aggregation_policy: withDefault(DiLoCoAggregationPolicy, () => 'Mean' as const),
  topology_policy: withDefault(DiLoCoTopologyPolicy, () => DEFAULT_TOPOLOGY),
  rejoin_policy: withDefault(DiLoCoRejoinPolicy, () => DEFAULT_REJOIN),
  outer_optimizer_policy: withDefault(OuterOptimizerPolicy, () => DEFAULT_OUTER_OPTIMIZER),
  require_signed_peer_payloads: withDefault(bool, () => false),
})
export type DiLoCoPolicy = Infer<typeof DiLoCoPolicy>

const DEFAULT_TOPOLOGY: DiLoCoTopologyPolicy = {
  mode: 'DeterministicRendezvous',
  fanout: 8,
  prefer_low_latency: true,
  allow_relay: true,
}
const DEFAULT_REJOIN: DiLoCoRejoinPolicy = {
  max_fast_forward_round_lag: 4,
  require_checkpoint_hash_match: true,
}
const DEFAULT_OUTER_OPTIMIZER: OuterOptimizerPolicy = {
  Sgd: {
    learning_rate_micros: 1_000_000,
    momentum_micros: null,
    nesterov: false,
    weight_decay_micros: null,
  },
}

/** The policy of a peer that was told nothing else (spec formats#records). */
export const DEFAULT_DILOCO_POLICY: DiLoCoPolicy = {
  num_inner_steps: 32,
  target_group_size: 4,
  minimum_group_size: 1,
  matchmaking_timeout_ms: 5000,
  aggregation_timeout_ms: 15_000,
  checkpoint_interval_rounds: 8,
  codec: 'Fp16',
  aggregation_policy: 'Mean',
  topology_policy: DEFAULT_TOPOLOGY,
  rejoin_policy: DEFAULT_REJOIN,
  outer_optimizer_policy: DEFAULT_OUTER_OPTIMIZER,
  require_signed_peer_payloads: false,
}

/** The default is `ArtifactWindows`. */
export const TrainingProtocol = variants('TrainingProtocol', {
  ArtifactWindows: null,
  DiLoCo: DiLoCoPolicy,
})
export type TrainingProtocol = Infer<typeof TrainingProtocol>
