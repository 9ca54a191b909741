import { EventEmitter } from 'node:events'
import {
  ConfigError,
  ProtocolError,
  PythonFreeThreadedError,
  PythonSharedLibraryError,
  PythonTooOldError,
  RuntimeClosedError,
  WorkerStartError,
  type TorchbedError,
} from '../../errors.js'
import { MAX_TIMER_MS } from '../../core/timers.js'
import { findPython } from '../python/find-python.js'
import type { OutputEvents } from '../output.js'
import { checkTimeout, deadlineError } from '../deadline.js'
import { endProgress } from '../progress.js'
import type {
  CallOptions,
  PythonRuntime,
  RuntimeState,
  RuntimeStats,
  WorkloadSession,
  WorkloadSpec,
} from '../python-runtime.js'
import {
  ABORT_GRACE_MS,
  CLOSE_GRACE_MS,
  FOREIGN_START_TIMEOUT_MS,
  MAX_FRAME_BYTES,
  START_TIMEOUT_MS,
} from './constants.js'
import { OWN_WORKER } from './launch.js'
import { abortError, SubprocessSession, type SessionOptions } from './session.js'
import { startWorker, type WorkerOptions } from './start.js'
import type { PyValue } from '../values.js'
import { PROTOCOL_VERSIONS } from './protocol.js'

/** Options of {@link SubprocessRuntime.start}. */
export interface SubprocessRuntimeOptions {
  /**
   * Python executable. Default: as for the embedded runtime. One that is named here or by
   * `TORCHBED_PYTHON` needs no shared library.
   */
  readonly python?: string | undefined
  /** Environment variables of all workers. A workload's own `env` comes on top. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /**
   * The worker's module. Default `torchbed.worker`. Others, such as
   * `burn_p2p_python_runtime.worker`, must speak version 1 or 2 of the protocol (spec worker-protocol) and
   * be found by Python: installed, or below a module search root.
   */
  readonly module?: string | undefined
  /**
   * How long a worker may take to connect, in milliseconds. Ours connects before it imports anything
   * large: default 20,000. Others import torch and the workload first: default 120,000.
   */
  readonly startTimeoutMs?: number | undefined
  /** How long a worker may take to end when it is closed, in milliseconds. Default 5000. */
  readonly closeGraceMs?: number | undefined
  /**
   * How long an aborted call may go on before its worker is killed, in milliseconds. Default 5000;
   * Infinity never kills. A third-party worker is killed at once, because nothing else stops it.
   */
  readonly abortGraceMs?: number | undefined
  /** Largest frame that is read or sent, in bytes. Default 64 MiB. */
  readonly maxFrameBytes?: number | undefined
}

/**
 * Python in child processes: each workload has its own worker, which may crash, hang or be
 * killed without this process. docs/guide/isolation.md says what differs from {@link EmbeddedRuntime}.
 *
 * Workers are children of the thread that opened them and end with it. An idle one does not keep
 * the process alive. What they print is emitted a line at a time as `stdout` and `stderr`; a stream without a
 * listener goes to the process's own.
 */
export class SubprocessRuntime extends EventEmitter<OutputEvents> implements PythonRuntime {
  /** The Python that runs the workers. */
  readonly python: PythonRuntime['python']
  readonly #program: WorkerOptions
  readonly #session: SessionOptions
  readonly #sessions = new Set<SubprocessSession>()
  /** What stops them, with workloads that are being opened. */
  readonly #opening = new Map<AbortController, Promise<unknown>>()
  #closed = false

  /**
   * Finds Python. No process is started before a workload is opened.
   *
   * Throws {@link TorchbedError}: Python not found or unfit (`ERR_PYTHON_…`), an option that makes no
   * sense (`ERR_CONFIG`).
   */
  static async start(options: SubprocessRuntimeOptions = {}): Promise<SubprocessRuntime> {
    refuseBadNumbers(options)
    const { python, module = OWN_WORKER } = options
    const { executable, version } = await workerPython(python, module)
    return new SubprocessRuntime({ executable, version }, module, options)
  }

  private constructor(
    python: PythonRuntime['python'],
    module: string,
    options: SubprocessRuntimeOptions,
  ) {
    super()
    const isOwn = module === OWN_WORKER
    this.python = python
    this.#program = {
      python: python.executable,
      module,
      env: options.env ?? {},
      startTimeoutMs:
        options.startTimeoutMs ?? (isOwn ? START_TIMEOUT_MS : FOREIGN_START_TIMEOUT_MS),
    }
    this.#session = {
      canInterrupt: isOwn,
      maxFrameBytes: options.maxFrameBytes ?? MAX_FRAME_BYTES,
      closeGraceMs: options.closeGraceMs ?? CLOSE_GRACE_MS,
      abortGraceMs: options.abortGraceMs ?? ABORT_GRACE_MS,
    }
  }

  get state(): RuntimeState {
    if (this.#closed) return 'closed'
    const activities = [...this.#sessions].map(({ activity }) => activity)
    if (activities.some(({ isOverdue }) => isOverdue)) return 'overdue'
    return activities.some(({ running }) => running !== undefined) ? 'running' : 'idle'
  }

  /** Of all workers together; `running` is the call that runs longest. */
  stats(): RuntimeStats {
    const activities = [...this.#sessions].map(({ activity }) => activity)
    const running = activities.flatMap((activity) => activity.running ?? [])
    const { rss, arrayBuffers } = process.memoryUsage()
    return {
      state: this.state,
      queued: activities.reduce((sum, { queued }) => sum + queued, 0),
      running: running.sort((a, b) => b.ageMs - a.ageMs)[0] ?? null,
      sessions: this.#sessions.size,
      models: null,
      lent: { buffers: 0, bytes: 0 },
      python: this.python,
      memory: { rss, arrayBuffers },
    }
  }

  /**
   * Starts a worker, which imports the workload.
   *
   * Beside what the embedded runtime rejects with: {@link WorkerStartError} when it does not connect,
   * {@link WorkerExitedError} when it dies in the import.
   */
  async openWorkload(spec: WorkloadSpec, options: CallOptions = {}): Promise<WorkloadSession> {
    const { signal, timeoutMs, onProgress } = options
    const title = 'open_workload'
    const stop = new AbortController()
    const abort = () => stop.abort(signal && abortError(title, signal))
    let timer: NodeJS.Timeout | undefined
    try {
      if (this.#closed) throw closedError()
      if (signal?.aborted) throw abortError(title, signal)
      if (timeoutMs !== undefined) {
        checkTimeout(title, timeoutMs)
        const late = () => stop.abort(deadlineError(title, timeoutMs, { overdue: false }))
        timer = setTimeout(late, timeoutMs)
      }
      signal?.addEventListener('abort', abort, { once: true })
      const opening = this.#open(spec, stop.signal)
      this.#opening.set(stop, opening)
      const session = await opening
      this.#sessions.add(session)
      void session.ended.then(() => this.#sessions.delete(session))
      return session
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
      this.#opening.delete(stop)
      endProgress(onProgress)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const stop of this.#opening.keys()) stop.abort(closedError())
    await Promise.allSettled(this.#opening.values())
    await Promise.all([...this.#sessions].map((session) => session.close()))
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** `stop` has a TorchbedError as its reason, which is what the caller receives. */
  async #open(spec: WorkloadSpec, stop: AbortSignal): Promise<SubprocessSession> {
    const { worker, socket } = await startWorker(this.#program, spec, this, stop)
    const session = new SubprocessSession(worker, socket, this.#session)
    const abandon = () => session.abandon(stop.reason as TorchbedError)
    stop.addEventListener('abort', abandon, { once: true })
    if (stop.aborted) abandon()
    try {
      session.workloadName = readHello(await session.callAs('open_workload', 'hello', null))
      return session
    } catch (error) {
      session.abandon(new RuntimeClosedError('the workload did not open'))
      await session.close()
      throw stop.aborted ? stop.reason : error
    } finally {
      stop.removeEventListener('abort', abandon)
    }
  }
}

function closedError(): RuntimeClosedError {
  return new RuntimeClosedError('Cannot open a workload: the runtime is closed')
}

/** The executable that runs workers. What only embedding needs is not asked of one that is named. */
async function workerPython(
  python: string | undefined,
  module: string,
): Promise<{ executable: string; version: string | null }> {
  const named = python ?? process.env.TORCHBED_PYTHON ?? ''
  try {
    return await findPython({ python: python })
  } catch (error) {
    const isFit =
      error instanceof PythonSharedLibraryError ||
      error instanceof PythonFreeThreadedError ||
      (error instanceof PythonTooOldError && module !== OWN_WORKER)
    if (isFit && named !== '') return { executable: named, version: null }
    throw error
  }
}

/** The workload's name. Throws {@link WorkerStartError} for another version of the protocol. */
function readHello(hello: PyValue): string {
  if (typeof hello === 'object' && hello !== null && 'protocol_version' in hello) {
    const { protocol_version: version, workload_name: name } = hello
    if (typeof version === 'bigint' && typeof name === 'string') {
      if (PROTOCOL_VERSIONS.includes(version)) return name
      throw new WorkerStartError(
        `python worker protocol mismatch: expected 1 or 2, got ${version}; use a worker that speaks them`,
      )
    }
  }
  throw new ProtocolError(
    'decode result for python rpc hello: protocol_version must be an integer and workload_name a text',
  )
}

/** A frame is read into one text, and this is what V8 can hold. */
const LONGEST_FRAME_BYTES = 2 ** 29 - 24

function refuseBadNumbers(options: SubprocessRuntimeOptions): void {
  const ranges = [
    ['startTimeoutMs', 1, MAX_TIMER_MS],
    ['closeGraceMs', 0, MAX_TIMER_MS],
    ['abortGraceMs', 0, MAX_TIMER_MS],
    ['maxFrameBytes', 1024, LONGEST_FRAME_BYTES],
  ] as const
  const issues = ranges.flatMap(([path, least, most]) => {
    const value = options[path]
    const isEndless = value === Infinity && most === MAX_TIMER_MS
    if (value === undefined || isEndless || (value >= least && value <= most)) return []
    return [{ path, message: `must be a number from ${least} to ${most}, got ${value}` }]
  })
  if (issues.length > 0) throw new ConfigError('Cannot start a SubprocessRuntime', issues)
}
