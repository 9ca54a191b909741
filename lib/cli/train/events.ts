import type { EvalSplit, Metrics } from '../../schema/index.js'

/** What happens during `torchbed train`: one JSON object a line with `--json`. */
export type TrainEvent =
  | {
      event: 'start'
      workload: string
      device: string
      python: string
      executable: string
      windows: number
      batches: number
      idleLoopDelayP99Ms: number
    }
  | ({ event: 'window'; window: number; metrics: Metrics } & WindowFigures)
  | { event: 'evaluation'; window: number; split: EvalSplit; metrics: Metrics }
  | { event: 'artifact'; window: number; path: string; bytes: number }
  | { event: 'interrupted'; signal: string; window: number; artifact: string | null }
  | { event: 'error'; code: string; message: string }
  | ({ event: 'summary' } & TrainSummary)

/** What the host measured of one window. */
export interface WindowFigures {
  seconds: number
  /** From the workload's `examples_processed`; null when it reports none. */
  examplesPerSecond: number | null
  /** Event-loop delay during the window, 99th percentile, in milliseconds. */
  loopDelayP99Ms: number
}

/** The end of a run. */
export interface TrainSummary {
  /** Of the last evaluation; null when the workload reports none. */
  accuracy: number | null
  loss: number | null
  windows: number
  seconds: number
  loopDelayP99Ms: number
  loopDelayMaxMs: number
  idleLoopDelayP99Ms: number
  artifact: string
  report: string
  curve: string
}

/** Receives the events of a run in order. */
export interface TrainReporter {
  event(event: TrainEvent): void
  /** Called when the process is about to leave, so that a half-drawn line can be ended. */
  end(): void
}

/** The metric as a number, or null when it is absent or no number. */
export function numericMetric(metrics: Metrics, name: string): number | null {
  const value = metrics[name]
  return typeof value === 'number' || typeof value === 'bigint' ? Number(value) : null
}
