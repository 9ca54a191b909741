import type { LineEnd } from '../../runtime/line-splitter.js'
import type { OutputEvents } from '../../runtime/output.js'
import type { HeadId, Metrics, PeerId } from '../../schema/index.js'
import type { TrainingEvent } from '../../training/events.js'

/** What happens during `torchbed train`: one JSON object a line with `--json`. */
export type TrainEvent =
  | { event: 'prepared'; script: string; root: string; seconds: number }
  | {
      event: 'start'
      workload: string
      device: string
      python: string
      executable: string
      experiment: string
      peers: readonly PeerId[]
      windows: number
      /** The canonical head that the run resumes from; null for a new experiment. */
      resumedFrom: HeadId | null
      idleLoopDelayP99Ms: number
    }
  | (TrainingEvent & { event: 'local_state_missing' })
  | ({ event: 'window' } & PeerWindow)
  | ({ event: 'promoted' } & PromotedHead)
  | { event: 'interrupted'; signal: string; window: number; artifact: string | null }
  | { event: 'error'; code: string; message: string }
  | ({ event: 'summary' } & TrainSummary)

/** One peer's window. */
export interface PeerWindow {
  window: number
  peer: PeerId
  head: HeadId
  metrics: Metrics
  microshards: number
  weight: number
  /** Of the call into Python, waiting for other peers' calls included. */
  seconds: number
  /** From what was processed; null when nothing was counted. */
  examplesPerSecond: number | null
}

/** A head that has become the canonical one. Window 0 is the genesis. */
export interface PromotedHead {
  window: number
  head: HeadId
  step: number
  from: 'genesis' | 'merge' | 'best candidate'
  /** Of the evaluation. */
  metrics: Metrics
  artifact: string
  bytes: number
  /** Event-loop delay during the window, 99th percentile, in milliseconds. */
  loopDelayP99Ms: number
}

/** The end of a run. */
export interface TrainSummary {
  /** Of the canonical head's evaluation; null when the workload reports none. */
  accuracy: number | null
  loss: number | null
  head: HeadId
  step: number
  /** Windows of this run, without those of an earlier one that it went on from. */
  windows: number
  seconds: number
  loopDelayP99Ms: number
  loopDelayMaxMs: number
  idleLoopDelayP99Ms: number
  receipts: { count: number; examples: number; tokens: number; weight: number }
  /** What keeping the peers' own training states cost; null when none was kept. */
  localState: { states: number; bytes: number; seconds: number } | null
  store: { path: string; bytes: number; files: number }
  artifact: string
  report: string
  curve: string
}

/** Receives the events of a run in order. */
export interface TrainReporter {
  event(event: TrainEvent): void
  /** What is in progress until the next event; of no interest afterwards. */
  status(text: string): void
  /** A line that the workload, or the script that makes its data, printed, and what ended it: see OutputEvents. */
  output(line: string, end?: LineEnd, stream?: keyof OutputEvents): void
  /** Called when the process is about to leave, so that a half-drawn line can be ended. */
  end(): void
}

/** The metric as a number, or null when it is absent or no number. */
export function numericMetric(metrics: Metrics, name: string): number | null {
  const value = Object.hasOwn(metrics, name) ? metrics[name] : undefined
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : null
}
