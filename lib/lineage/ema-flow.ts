/** Which certified heads an exponential moving average has taken in (spec store#catalogue). */

import { f64, HeadId, list, record, type Infer } from '../schema/index.js'
import { InvalidEmaDecayError } from './errors.js'

/** The record of a flow, as it is stored or sent. */
export const EmaFlowRecord = record('EmaFlow', { decay: f64, included_heads: list(HeadId) })
export type EmaFlowRecord = Infer<typeof EmaFlowRecord>

/** An exponential moving average of heads: its decay and the heads in it. The arithmetic is the workload's. */
export class EmaFlow {
  /** Share of the average that is kept when a head comes in, unitless, 0 to 1. */
  readonly decay: number
  readonly #heads = new Set<HeadId>()

  /** @throws InvalidEmaDecayError when the decay lies outside 0 to 1 */
  constructor(decay: number) {
    if (!(decay >= 0 && decay <= 1)) throw new InvalidEmaDecayError(decay)
    this.decay = decay
  }

  /** @throws InvalidEmaDecayError when the decay lies outside 0 to 1 */
  static fromRecord({ decay, included_heads }: EmaFlowRecord): EmaFlow {
    const flow = new EmaFlow(decay)
    for (const id of included_heads) flow.includeCertifiedHead(id)
    return flow
  }

  /** In the order they came, each once. */
  get includedHeads(): readonly HeadId[] {
    return [...this.#heads]
  }

  /** Takes a head in; one that is in already is left where it is. */
  includeCertifiedHead(id: HeadId): void {
    this.#heads.add(id)
  }

  /** The state as a record, to be stored or sent. */
  toRecord(): EmaFlowRecord {
    return { decay: this.decay, included_heads: this.includedHeads }
  }
}
