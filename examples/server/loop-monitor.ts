/** How free the event loop is, seen from inside by a timer and from outside by requests. */
import { Agent, get } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How often the timer ticks, in milliseconds. */
const TICK_MS = 1

/** How often a request is sent, in milliseconds. */
const PROBE_MS = 100

/** What was seen since the last sample, in milliseconds. */
export interface LoopSample {
  /** How late 99 of 100 ticks of a timer were at most. */
  readonly delayP99Ms: number
  readonly delayMaxMs: number
  /** How long the slowest request took from sending it to the end of its answer; null when none ended. */
  readonly latencyMaxMs: number | null
}

/** Watches from {@link start} to {@link stop}. Keeps the process alive for as long. */
export class LoopMonitor {
  readonly #delay = monitorEventLoopDelay({ resolution: TICK_MS })
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })
  #latencies: number[] = []
  #isWaiting = false
  #timer: NodeJS.Timeout | undefined

  /** Begins to send requests to the URL, one at a time. */
  start(url: string): void {
    this.#delay.enable()
    this.#timer = setInterval(() => this.#probe(url), PROBE_MS)
  }

  /** What was seen since the last call. */
  sample(): LoopSample {
    const sample = {
      delayP99Ms: lateness(this.#delay.percentile(99)),
      delayMaxMs: lateness(this.#delay.max),
      latencyMaxMs: this.#latencies.length === 0 ? null : Math.max(...this.#latencies),
    }
    this.#delay.reset()
    this.#latencies = []
    return sample
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#delay.disable()
    this.#agent.destroy()
  }

  #probe(url: string): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    const began = performance.now()
    const done = () => (this.#isWaiting = false)
    get(url, { agent: this.#agent }, (response) => {
      response.resume().on('end', () => this.#latencies.push(performance.now() - began))
    })
      .on('error', () => undefined) // A server that is closing refuses; that says nothing of the loop.
      .on('close', done)
  }
}

/** The histogram holds nanoseconds between ticks; what exceeds the interval is delay, here in milliseconds. */
function lateness(nanoseconds: number): number {
  const milliseconds = Number.isFinite(nanoseconds) ? nanoseconds / 1e6 : 0
  return Math.max(0, milliseconds - TICK_MS)
}
