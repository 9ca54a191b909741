/** What a run leaves behind: events for its reporter, the canonical head's model, a report and a curve. */

import { writeFileAtomic } from '../../files/atomic-write.js'
import type { HeadDescriptor } from '../../schema/index.js'
import type { FsArtifactStore } from '../../store/index.js'
import type { TrainingEvent } from '../../training/events.js'
import type { Contribution } from '../../training/trainer.js'
import type { Promotion } from '../../training/validator.js'
import { lossAndAccuracyCurve } from './curve.js'
import {
  numericMetric,
  type PeerWindow,
  type TrainEvent,
  type TrainReporter,
  type TrainSummary,
} from './events.js'
import { TrainHistory } from './history.js'
import { LoopDelay } from './loop-delay.js'
import type { OutputFolder } from './output-folder.js'

/** How far a run has come; what Ctrl-C reports. */
export interface TrainProgress {
  /** Step of the canonical head. */
  window: number
  /** The last complete artifact. */
  artifact: string | null
}

/** What a record is made with. */
export interface TrainRecordParts {
  readonly folder: OutputFolder
  readonly store: FsArtifactStore
  /** What is known of a run before its first event. */
  readonly started: Omit<TrainEvent & { event: 'start' }, 'event' | 'resumedFrom'>
  /** When the command began, by `performance.now()`. */
  readonly began: number
  /** Is kept up to date. */
  readonly progress: TrainProgress
  readonly reporter: TrainReporter
  readonly signal: AbortSignal
}

/** Takes a run's events in order, and sums them up. The event loop is watched from the first to the last. */
export class TrainRecord {
  readonly #parts: TrainRecordParts
  readonly #history = new TrainHistory()
  /** Of the window in progress, and of the whole run. */
  readonly #delay = new LoopDelay()
  readonly #whole = new LoopDelay()
  #canonical: HeadDescriptor | undefined
  #windows = 0

  constructor(parts: TrainRecordParts) {
    this.#parts = parts
    this.#delay.reset()
    this.#whole.reset()
  }

  async add(event: TrainingEvent): Promise<void> {
    const { reporter, store } = this.#parts
    switch (event.event) {
      case 'resumed':
        this.#start(event.head.head_id)
        await this.#history.resume(store, event.lineage)
        await this.#keep(event.head)
        this.#delay.reset()
        break
      case 'local_state_missing':
        reporter.event(event)
        break
      case 'window':
        this.#history.add(event.contribution)
        reporter.event({ event: 'window', ...peerWindow(event.window, event.contribution) })
        break
      case 'promoted':
        await this.#promote(event.window, event.promotion)
        break
      default:
        // Of roles that run on a swarm.
        break
    }
  }

  /** Writes the report and the curve. */
  async finish(): Promise<TrainSummary> {
    const { folder, began, started } = this.#parts
    const head = this.#canonical
    if (head === undefined) throw new Error('a run without a canonical head')
    const { points, receipts, localState } = this.#history
    const summary: TrainSummary = {
      accuracy: numericMetric(head.metrics, 'accuracy'),
      loss: numericMetric(head.metrics, 'loss'),
      head: head.head_id,
      step: head.global_step,
      windows: this.#windows,
      seconds: (performance.now() - began) / 1000,
      loopDelayP99Ms: this.#whole.p99(),
      loopDelayMaxMs: this.#whole.max(),
      idleLoopDelayP99Ms: started.idleLoopDelayP99Ms,
      receipts,
      localState,
      store: await folder.measureStore(),
      artifact: folder.artifact,
      report: folder.report,
      curve: folder.curve,
    }
    this.#whole.stop()
    this.#delay.stop()
    const report = { ...summary, workload: started.workload, history: points }
    await writeFileAtomic(folder.curve, lossAndAccuracyCurve(points))
    await writeFileAtomic(folder.report, `${JSON.stringify(report, null, 2)}\n`)
    return summary
  }

  #start(resumedFrom: string | null): void {
    this.#parts.reporter.event({ event: 'start', ...this.#parts.started, resumedFrom })
  }

  async #promote(window: number, { head, from }: Promotion): Promise<void> {
    if (from === 'genesis') this.#start(null)
    else this.#windows++
    this.#history.promote(head)
    const loopDelayP99Ms = this.#delay.p99()
    const bytes = await this.#keep(head)
    this.#parts.reporter.event({
      event: 'promoted',
      window,
      head: head.head_id,
      step: head.global_step,
      from,
      metrics: head.metrics,
      artifact: this.#parts.folder.artifact,
      bytes,
      loopDelayP99Ms,
    })
    this.#delay.reset()
  }

  /** Puts the head's model beside the store, for use elsewhere. Returns its size in bytes. */
  async #keep(head: HeadDescriptor): Promise<number> {
    const { store, folder, progress, signal } = this.#parts
    this.#canonical = head
    const artifact = await store.loadManifest(head.artifact_id)
    await store.materializeArtifactFile(artifact, folder.artifact, { signal })
    progress.window = head.global_step
    progress.artifact = folder.artifact
    return artifact.bytes_len
  }
}

/** A contribution as it is reported. */
export function peerWindow(window: number, contribution: Contribution): PeerWindow {
  const { metrics, seconds, data_receipt } = contribution
  const examples = data_receipt.examples_processed
  return {
    window,
    peer: contribution.peer_id,
    head: contribution.head.head_id,
    metrics,
    microshards: contribution.lease.microshards.length,
    weight: contribution.receipt.accepted_weight,
    seconds,
    examplesPerSecond: examples === 0 ? null : examples / seconds,
  }
}
