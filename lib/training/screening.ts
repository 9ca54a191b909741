/**
 * What keeps a contribution out of a merge: it is measured here, on the validator's own data, and not taken from what its peer
 * says of itself (spec network-roles#validator).
 */

import { qualityWeight } from '../project/contribution.js'
import type { HeadDescriptor, Metrics, PeerId } from '../schema/index.js'
import type { Candidate } from './candidate.js'

/**
 * Rise of the loss over the base head's above which a contribution is not merged: this, or this share of it when that is more. A
 * model of a few shards is often worse than the mean of many; one that is meant to harm is far off.
 */
const CANARY_TOLERANCE = { least: 0.02, share: 0.5 }

/** Samples that a peer may claim, as a multiple of the median of the window. */
const MOST_OF_MEDIAN = 4

/** Why a contribution is not merged. */
export interface Dropped {
  readonly peer_id: PeerId
  readonly reason: 'unavailable' | 'unfit' | 'not finite' | 'regression'
  /** One sentence for people. */
  readonly message: string
}

/** The measure of a head: lower is better; undefined where its metrics hold none. */
function badness(metrics: Metrics): number | undefined {
  const number = (name: string) => {
    const value = Object.hasOwn(metrics, name) ? metrics[name] : undefined
    return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined
  }
  const negative = (value: number | undefined) => (value === undefined ? undefined : -value)
  return (
    number('loss') ??
    number('train_loss') ??
    negative(number('score')) ??
    negative(number('accuracy'))
  )
}

/**
 * Judges a contribution by the evaluation of its model.
 *
 * @returns why it is dropped, or the contribution with the quality that was measured
 */
export function judge(
  candidate: Candidate,
  metrics: Metrics,
  base: HeadDescriptor,
  tolerance?: number,
): Candidate | Dropped {
  const { peer_id } = candidate
  const measured = badness(metrics)
  if (measured === undefined) return candidate
  if (!Number.isFinite(measured)) {
    return { peer_id, reason: 'not finite', message: `its evaluation gives ${measured}` }
  }
  const before = badness(base.metrics)
  const { least, share } = CANARY_TOLERANCE
  const rise = tolerance ?? Math.max(least, share * Math.abs(before ?? 0))
  if (before !== undefined && measured > before + rise) {
    const message = `its evaluation is ${measured} where the base head's is ${before}`
    return { peer_id, reason: 'regression', message }
  }
  return { ...candidate, quality_weight: qualityWeight(metrics) }
}

/** Bounds what each peer's samples weigh by the median of all: what a peer counts, it alone has seen. */
export function boundWeights(candidates: readonly Candidate[]): Candidate[] {
  if (candidates.length < 3) return [...candidates]
  const weights = candidates.map(({ receipt }) => receipt.accepted_weight).sort((a, b) => a - b)
  const most = (weights[Math.floor((weights.length - 1) / 2)] ?? 0) * MOST_OF_MEDIAN
  return candidates.map((candidate) => {
    const { receipt } = candidate
    if (receipt.accepted_weight <= most) return candidate
    return { ...candidate, receipt: { ...receipt, accepted_weight: most } }
  })
}
