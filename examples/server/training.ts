/** The training behind the server: its loop, and what is known of it at any moment. */
import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import {
  AbortError,
  PyFloat,
  TorchbedError,
  TorchProject,
  type ModelHandle,
  type Progress,
  type PythonRuntime,
} from 'torchbed'
import type { MetricValue } from 'torchbed/schema'
import { projectRoot } from '../root.js'

/** What spirals_workload.py is called with. */
export const SpiralsConfig = z
  .strictObject({
    hidden: z.int().positive().default(96),
    learning_rate: z
      .number()
      .positive()
      .default(2e-4)
      .transform((rate) => new PyFloat(rate)),
    steps_per_window: z.int().positive().default(100),
    batch_size: z.int().positive().default(256),
    /** Of torch; 1 leaves the other cores to the event loop. */
    threads: z.int().positive().default(1),
    seed: z.int().default(1),
  })
  .prefault({})

export type Phase = 'starting' | 'waiting' | 'training' | 'done' | 'stopped' | 'failed'

/** The result of one window. */
export interface WindowPoint {
  /** From 1. */
  readonly window: number
  /** Mean cross-entropy over the window's steps. */
  readonly loss: number
  /** Cross-entropy on points that are never trained on. */
  readonly heldOutLoss: number
  /** Share of correct predictions, 0 to 1. */
  readonly accuracy: number
}

export interface TrainingStatus {
  readonly phase: Phase
  /** Windows that are done. */
  readonly window: number
  readonly windows: number
  /** Of the last window; null before the first is done. */
  readonly last: WindowPoint | null
  /** Within the window that runs. */
  readonly progress: { readonly step: number; readonly total: number | null } | null
  readonly examplesPerSecond: number | null
  readonly error: { readonly code: string; readonly message: string } | null
}

export interface TrainingOptions {
  readonly windows: number
  /** Where the weights go at the end, or when stopped. */
  readonly out: string
  /** How long to wait before the first window, so that the idle event loop can be measured, in milliseconds. */
  readonly idleMs: number
  readonly config?: z.input<typeof SpiralsConfig> | undefined
}

interface TrainingEvents {
  window: [WindowPoint]
  /** A call that has ended: its method, and how long it took, in seconds. */
  call: [method: string, seconds: number]
}

/** Trains window after window. Never throws: how it ended is in {@link status}. */
export class Training extends EventEmitter<TrainingEvents> {
  readonly #runtime: PythonRuntime
  readonly #options: TrainingOptions
  #phase: Phase = 'starting'
  #last: WindowPoint | null = null
  #progress: Progress | null = null
  #examplesPerSecond: number | null = null
  #error: TrainingStatus['error'] = null

  constructor(runtime: PythonRuntime, options: TrainingOptions) {
    super()
    this.#runtime = runtime
    this.#options = options
  }

  get status(): TrainingStatus {
    const progress = this.#progress
    return {
      phase: this.#phase,
      window: this.#last?.window ?? 0,
      windows: this.#options.windows,
      last: this.#last,
      progress: progress && { step: progress.step, total: progress.total },
      examplesPerSecond: this.#examplesPerSecond,
      error: this.#error,
    }
  }

  /**
   * Until all windows are done, one fails, or the signal stops it in the middle of one.
   *
   * @returns whether the weights were saved
   */
  async run(signal: AbortSignal): Promise<boolean> {
    try {
      // Closed with the runtime, which is not ours to close.
      const project = await this.#open(signal)
      await using model = await project.initModel()
      try {
        await this.#train(project, model, signal)
        this.#phase = 'done'
      } catch (error) {
        if (!signal.aborted) throw error
        this.#phase = 'stopped'
      }
      // A window that was stopped leaves weights that are as good as the steps that it took.
      await project.materializeModelArtifactFile(model, this.#options.out)
      return true
    } catch (error) {
      if (signal.aborted && isAbort(error)) this.#phase = 'stopped'
      else this.#fail(error)
      return false
    } finally {
      this.#progress = null
    }
  }

  #open(signal: AbortSignal): Promise<TorchProject> {
    const runtime = {
      workload_factory: 'spirals_workload:Spirals',
      module_search_roots: [join(projectRoot, 'examples', 'server')],
      workload_config: this.#options.config,
    }
    const options = { runtime: this.#runtime, signal, workloadConfigSchema: SpiralsConfig }
    return TorchProject.open({ runtime }, options)
  }

  async #train(project: TorchProject, model: ModelHandle, signal: AbortSignal): Promise<void> {
    this.#phase = 'waiting'
    await sleep(this.#options.idleMs, undefined, { signal })
    this.#phase = 'training'
    const onProgress = (progress: Progress) => (this.#progress = progress)
    for (let window = 1; window <= this.#options.windows; window++) {
      const began = performance.now()
      const { stats } = await this.#timed('train_window', () =>
        project.trainWindow({ model, batches: [] }, { signal, onProgress }),
      )
      const seconds = (performance.now() - began) / 1000
      const { metrics } = await this.#timed('evaluate', () =>
        project.evaluate(model, 'Test', { signal }),
      )
      this.#examplesPerSecond = numeric(stats.examples_processed) / seconds
      this.#last = {
        window,
        loss: numeric(stats.loss),
        heldOutLoss: numeric(metrics.loss),
        accuracy: numeric(metrics.accuracy),
      }
      this.emit('window', this.#last)
    }
  }

  async #timed<T>(method: string, call: () => Promise<T>): Promise<T> {
    const began = performance.now()
    try {
      return await call()
    } finally {
      this.emit('call', method, (performance.now() - began) / 1000)
    }
  }

  #fail(error: unknown): void {
    this.#phase = 'failed'
    const code = error instanceof TorchbedError ? error.code : 'ERR_UNKNOWN'
    this.#error = { code, message: error instanceof Error ? error.message : String(error) }
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof AbortError || (error instanceof Error && error.name === 'AbortError')
}

/** A metric that this example's workload gives as an int or a float. */
function numeric(metric: MetricValue | undefined): number {
  return Number(metric ?? NaN)
}
