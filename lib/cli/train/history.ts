/** What a run adds up, in an order of its own: peers end their windows in whatever order the machine lets them. */

import type { FsArtifactStore } from '../../store/index.js'
import type { HeadDescriptor, HeadId, Metrics } from '../../schema/index.js'
import type { Contribution } from '../../training/trainer.js'
import type { CurvePoint } from './curve.js'
import { numericMetric, type TrainSummary } from './events.js'

/** The curve and the totals of a run. Equal contributions give equal numbers, to the last bit. */
export class TrainHistory {
  readonly points: CurvePoint[] = []
  readonly receipts = { count: 0, examples: 0, tokens: 0, weight: 0 }
  /** Null as long as no training state was kept. */
  localState: TrainSummary['localState'] = null
  #window: Contribution[] = []

  /** Adds the curve up to a head, out of what the store kept of earlier runs. */
  async resume(store: FsArtifactStore, lineage: readonly HeadDescriptor[]): Promise<void> {
    const contributed = new Map<HeadId, HeadDescriptor[]>()
    const promoted = new Set(lineage.map(({ head_id }) => head_id))
    for await (const stored of store.listHeads()) {
      if ('error' in stored || promoted.has(stored.record.head_id)) continue
      const { parent_head_id } = stored.record
      if (parent_head_id === null) continue
      contributed.set(parent_head_id, [...(contributed.get(parent_head_id) ?? []), stored.record])
    }
    for (const head of lineage) {
      this.points.push(curvePoint(head, contributed.get(head.parent_head_id ?? '') ?? []))
    }
  }

  /** Adds a peer's window; it counts when the window is promoted. */
  add(contribution: Contribution): void {
    this.#window.push(contribution)
  }

  /** Adds a head that has become the canonical one, and the windows that led to it. */
  promote(head: HeadDescriptor): void {
    const contributions = this.#window.sort((a, b) => byId(a.head, b.head))
    this.#window = []
    for (const { data_receipt, receipt, local_state } of contributions) {
      this.receipts.count++
      this.receipts.examples += data_receipt.examples_processed
      this.receipts.tokens += data_receipt.tokens_processed
      this.receipts.weight += receipt.accepted_weight
      if (local_state === null) continue
      this.localState ??= { states: 0, bytes: 0, seconds: 0 }
      this.localState.states++
      this.localState.bytes += local_state.bytes
      this.localState.seconds += local_state.seconds
    }
    this.points.push(
      curvePoint(
        head,
        contributions.map((contribution) => contribution.head),
      ),
    )
  }
}

/** A point whose training loss is the mean of the heads that report one, summed by head id. */
function curvePoint(
  head: HeadDescriptor,
  contributed: readonly { readonly head_id: HeadId; readonly metrics: Metrics }[],
): CurvePoint {
  const losses = [...contributed]
    .sort(byId)
    .flatMap(({ metrics }) => numericMetric(metrics, 'loss') ?? [])
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length
  return {
    window: head.global_step,
    trainLoss: Number.isFinite(mean) ? mean : null,
    evaluationLoss: numericMetric(head.metrics, 'loss'),
    accuracy: numericMetric(head.metrics, 'accuracy'),
  }
}

function byId(a: { readonly head_id: HeadId }, b: { readonly head_id: HeadId }): number {
  return a.head_id < b.head_id ? -1 : a.head_id > b.head_id ? 1 : 0
}
