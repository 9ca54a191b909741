/** The numbers of a run, as tools that draw curves take them. */

import type { Metrics } from '../schema/index.js'
import type { TrainingEvent } from './events.js'

/** A number of a run at a step. */
export interface Scalar {
  /** Which curve, such as `canonical/loss`. */
  readonly tag: string
  /** The window that it is of; 0 is the genesis. */
  readonly step: number
  readonly value: number
  /** When it came, in milliseconds since 1970. */
  readonly at: number
}

/** Takes the numbers of a run. */
export interface ScalarWriter {
  /** Adds numbers, in their order. One call at a time. */
  add(scalars: readonly Scalar[]): Promise<void>
}

/**
 * The numeric metrics of an event: of a peer's window as `<peer>/<metric>`, of a promoted head as `canonical/<metric>`.
 * None for other events.
 *
 * @param at - when it happened, in milliseconds since 1970; default now
 */
export function scalarsOf(event: TrainingEvent, at = Date.now()): Scalar[] {
  if (event.event === 'window') {
    const { peer_id: peer, metrics } = event.contribution
    return numbersOf(metrics, peer, event.window, at)
  }
  if (event.event !== 'promoted') return []
  return numbersOf(event.promotion.head.metrics, 'canonical', event.window, at)
}

function numbersOf(metrics: Metrics, owner: string, step: number, at: number): Scalar[] {
  return Object.entries(metrics).flatMap(([name, value]) =>
    typeof value === 'number' || typeof value === 'bigint'
      ? [{ tag: `${owner}/${name}`, step, value: Number(value), at }]
      : [],
  )
}
