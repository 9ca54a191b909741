/** What the page shows: sampled twice a second, kept for those who come later, sent to those who listen. */
import type { ServerResponse } from 'node:http'
import type { PythonRuntime, RuntimeStats } from 'torchbed'
import type { LoopMonitor, LoopSample } from './loop-monitor.js'
import type { Training, TrainingStatus, WindowPoint } from './training.js'

/** Between two samples, in milliseconds. */
const SAMPLE_MS = 500

/** Samples that are kept: two minutes. */
const MAX_SAMPLES = 240

/** Windows that are kept; beyond, every second one is let go. */
const MAX_WINDOWS = 1000

/** Listeners at one time. */
const MAX_LISTENERS = 100

/** What may wait for a slow listener before it is let go, in bytes. */
const MAX_BACKLOG_BYTES = 1 << 20

/** One sample of everything. */
export interface Sample {
  /** Since the server started. */
  readonly seconds: number
  readonly training: TrainingStatus
  readonly runtime: RuntimeStats
  /** Of the half second before; null in the first. */
  readonly loop: LoopSample | null
}

export interface LiveParts {
  readonly training: Training
  readonly runtime: PythonRuntime
  readonly monitor: LoopMonitor
}

/** Samples and results, to read at any time or to follow as server-sent events. */
export class Live {
  readonly #parts: LiveParts
  readonly #began = performance.now()
  readonly #listeners = new Set<ServerResponse>()
  readonly #samples: Sample[] = []
  #loop: LoopSample | null = null
  #windows: WindowPoint[] = []
  /** Of so many windows one is kept. */
  #stride = 1
  #timer: NodeJS.Timeout | undefined

  constructor(parts: LiveParts) {
    this.#parts = parts
    parts.training.on('window', (point) => this.#addWindow(point))
  }

  start(): void {
    this.#timer = setInterval(() => this.#takeSample(), SAMPLE_MS)
  }

  /** Ends every stream. */
  stop(): void {
    clearInterval(this.#timer)
    for (const listener of this.#listeners) listener.end()
  }

  /** Everything as it is now, but the event loop as it was last sampled. */
  get status(): Sample {
    const { training, runtime } = this.#parts
    return {
      seconds: (performance.now() - this.#began) / 1000,
      training: training.status,
      runtime: runtime.stats(),
      loop: this.#loop,
    }
  }

  /**
   * Sends `history`, all that is kept, then `window` and `sample` as they come. False when there are too many
   * listeners.
   */
  follow(response: ServerResponse): boolean {
    if (this.#listeners.size >= MAX_LISTENERS) return false
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    this.#listeners.add(response)
    response.on('close', () => this.#listeners.delete(response))
    response.write(event('history', { windows: this.#windows, samples: this.#samples }))
    return true
  }

  #takeSample(): void {
    this.#loop = this.#parts.monitor.sample()
    const sample = this.status
    this.#samples.push(sample)
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift()
    this.#send('sample', sample)
  }

  #addWindow(point: WindowPoint): void {
    if (point.window % this.#stride === 0) this.#windows.push(point)
    if (this.#windows.length > MAX_WINDOWS) {
      this.#stride *= 2
      this.#windows = this.#windows.filter(({ window }) => window % this.#stride === 0)
    }
    this.#send('window', point)
  }

  #send(name: string, data: unknown): void {
    const text = event(name, data)
    for (const listener of this.#listeners) {
      if (listener.writableLength > MAX_BACKLOG_BYTES) listener.destroy()
      else listener.write(text)
    }
  }
}

function event(name: string, data: unknown): string {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
}
