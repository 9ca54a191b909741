import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'

/** How often the event loop is looked at, in milliseconds. */
const RESOLUTION_MS = 1

/** How long the idle event loop is watched for comparison, in milliseconds. */
const IDLE_WATCH_MS = 1000

/** Event-loop delay, in milliseconds, since the last {@link LoopDelay.reset}. */
export class LoopDelay {
  readonly #histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })

  /** Begins to measure anew. */
  reset(): void {
    this.#histogram.reset()
    this.#histogram.enable()
  }

  /** How late 99 of 100 timer ticks were at most. */
  p99(): number {
    return sinceDue(this.#histogram.percentile(99))
  }

  max(): number {
    return sinceDue(this.#histogram.max)
  }

  stop(): void {
    this.#histogram.disable()
  }
}

/** The histogram holds the time between ticks; what is beyond the interval asked for is delay. */
function sinceDue(nanoseconds: number): number {
  const milliseconds = Number.isFinite(nanoseconds) ? nanoseconds / 1e6 : 0
  return Math.max(0, Math.round((milliseconds - RESOLUTION_MS) * 1000) / 1000)
}

/** The delay of the event loop while nothing happens, 99th percentile, in milliseconds. */
export async function idleLoopDelay(signal: AbortSignal): Promise<number> {
  const delay = new LoopDelay()
  delay.reset()
  try {
    await sleep(IDLE_WATCH_MS, undefined, { signal })
    return delay.p99()
  } finally {
    delay.stop()
  }
}
