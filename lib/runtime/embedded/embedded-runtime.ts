import { EventEmitter } from 'node:events'
import { join } from 'node:path'
import { isMainThread } from 'node:worker_threads'
import {
  PythonStartError,
  RuntimeClosedError,
  RuntimeConflictError,
  ValueError,
} from '../../errors.js'
import { loadBridge, type Bridge, type BridgeStatus } from './addon.js'
import { call, HOST_SESSION, progress, typedError, type Link } from './call.js'
import { MAX_TIMER_MS } from '../../core/timers.js'
import { refuseUnfitVariables } from '../environment-variables.js'
import { calledAs } from '../called-as.js'
import { findPython, type PythonInstallation } from '../python/find-python.js'
import { refuseUnfitPath, startRemedy } from '../python/python-path.js'
import { OutputHub, type OutputEvents } from '../output.js'
import { packageRoot } from '../package-root.js'
import { endProgress } from '../progress.js'
import type {
  CallOptions,
  PythonRuntime,
  RuntimeState,
  RuntimeStats,
  WorkloadSession,
  WorkloadSpec,
} from '../python-runtime.js'
import type { PyInput, PyValue } from '../values.js'

/** Default of {@link EmbeddedRuntimeOptions.exitGraceMs}. */
const EXIT_GRACE_MS = 2000

/** Sentinel model number: release the whole session. */
const WHOLE_SESSION = 0

/** Options of {@link EmbeddedRuntime.start}. */
export interface EmbeddedRuntimeOptions {
  /**
   * Python executable: a venv's, conda's, uv's, pyenv's, the system's. Default: `TORCHBED_PYTHON`,
   * else an active or local virtual environment, else the first that fits on `PATH`.
   */
  readonly python?: string | undefined
  /**
   * Environment variables for Python, set in this process before Python reads them (`PYTHONHASHSEED`
   * and its like are read once, at the start). Only the process's first runtime can set them.
   */
  readonly env?: Readonly<Record<string, string>> | undefined
  /**
   * How long the end of the process waits for Python to come to rest and to run its `atexit`
   * functions, in milliseconds, 24 days at most. Default 2000.
   */
  readonly exitGraceMs?: number | undefined
  /**
   * `low` spares a short call most of the two wake-ups of sleeping threads. For it, a call made while no other
   * is pending keeps the event loop for its answer, for up to 50 µs; and after each call the interpreter thread
   * stays awake for up to 200 µs, keeping a core busy. For many short calls one after the other; long ones gain
   * nothing. Of this runtime's calls only. Default `normal`.
   */
  readonly latency?: 'normal' | 'low' | undefined
}

/** The Python that this environment has started: what further runtimes get when they name none. */
let started: PythonInstallation | undefined

/** One hub for all runtimes of this environment (the main thread, or one worker). */
const output = new OutputHub()

/**
 * CPython in this process.
 *
 * A process has one Python: the first runtime starts it, further ones (in worker threads too) share it
 * and must ask for the same executable. It is never unloaded; at the end of the process it is
 * stopped within two seconds, in the middle of training too. An idle runtime does not keep the process
 * alive.
 *
 * What Python prints is emitted a line at a time as `stdout` and `stderr`, all of it before the call settles: the
 * line and what ended it, where `'\r'` is a progress bar's update, which the next line replaces, and `''` a line that
 * has not ended yet. A stream without a listener goes to the process's own.
 */
export class EmbeddedRuntime extends EventEmitter<OutputEvents> implements PythonRuntime {
  /** The Python that runs. */
  readonly python: PythonInstallation
  readonly #link: Link
  readonly #sessions = new Set<EmbeddedSession>()
  #closed = false

  /**
   * Finds Python, loads it into this process and starts it, all at most once per process.
   *
   * Throws {@link TorchbedError}: Python not found or unfit (`ERR_PYTHON_…`), addon absent
   * (`ERR_ADDON`), another Python already running here (`ERR_RUNTIME_CONFLICT`), an option that is none
   * (`ERR_VALUE`).
   */
  static async start(options: EmbeddedRuntimeOptions = {}): Promise<EmbeddedRuntime> {
    const { env = {}, exitGraceMs: graceMs = EXIT_GRACE_MS } = options
    refuseUnfitVariables(env)
    checkGrace(graceMs)
    let python =
      options.python === undefined && started !== undefined
        ? started
        : await findPython({ python: options.python })
    const bridge = loadBridge(
      python.libpython,
      (pieces) => output.write(pieces),
      (pieces) => progress.write(pieces),
    )
    progress.takeBy(() => bridge.takeProgress())
    const { executable } = bridge.status()
    if (executable !== '' && executable !== python.executable) {
      throw new RuntimeConflictError(
        `Cannot start ${python.executable}: this process already runs ${executable}, and a ` +
          'process can run only one. Use the same executable, or a child process',
      )
    }
    if (executable === '' && bridge.pythonVersion().split(' ', 1)[0] !== python.version) {
      // What is known of it may be of before it was upgraded.
      python = await findPython({ python: options.python, fresh: true })
    }
    stopAtExit(bridge, graceMs)
    const start = {
      executable: python.executable,
      version: python.version,
      pythonRoot: join(packageRoot(), 'python'),
      env,
    }
    const pythonPath = env.PYTHONPATH ?? process.env.PYTHONPATH
    if (executable === '') await refuseUnfitPath(python, pythonPath)
    await bridge.start(start).catch((reason: unknown) => {
      const error = typedError('start', reason)
      if (!(error instanceof PythonStartError)) throw error
      throw new PythonStartError(error.problem, { ...startRemedy(pythonPath), cause: error })
    })
    started = python
    return new EmbeddedRuntime(python, {
      bridge,
      spins: options.latency === 'low',
      flushOutput: () => output.flush(),
    })
  }

  private constructor(python: PythonInstallation, link: Link) {
    super()
    this.python = python
    this.#link = link
    output.add(this)
  }

  get state(): RuntimeState {
    return this.#closed ? 'closed' : stateOf(this.#link.bridge.status())
  }

  stats(): RuntimeStats {
    const status = this.#link.bridge.status()
    const { queued, method, ageMs, models, lentBuffers, lentBytes } = status
    const { version, executable } = this.python
    const { rss, arrayBuffers } = process.memoryUsage()
    return {
      state: this.#closed ? 'closed' : stateOf(status),
      queued,
      running: method === '' ? null : { method, ageMs },
      sessions: this.#sessions.size,
      models,
      lent: { buffers: lentBuffers, bytes: lentBytes },
      python: { version, executable },
      memory: { rss, arrayBuffers },
    }
  }

  async openWorkload(spec: WorkloadSpec, options?: CallOptions): Promise<WorkloadSession> {
    if (this.#closed) {
      endProgress(options?.onProgress)
      throw new RuntimeClosedError('Cannot open a workload: the runtime is closed')
    }
    const params = {
      factory: spec.factory,
      config: spec.config ?? null,
      module_search_roots: spec.moduleSearchRoots ?? [],
      env: spec.env ?? {},
    }
    const opened = await call(this.#link, HOST_SESSION, 'open_workload', params, options)
    const { session, workload_name: name } = opened as { session: bigint; workload_name: string }
    if (this.#isClosed()) {
      this.#link.bridge.release(Number(session), WHOLE_SESSION)
      throw new RuntimeClosedError('Cannot open a workload: the runtime was closed meanwhile')
    }
    const opening = new EmbeddedSession(this.#link, Number(session), name, (closing) =>
      this.#sessions.delete(closing),
    )
    this.#sessions.add(opening)
    this.#link.bridge.ownSession(Number(session))
    return opening
  }

  /** For a look after an await, which the type of the field cannot tell from the one before. */
  #isClosed(): boolean {
    return this.#closed
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#sessions].map((session) => session.close()))
    output.delete(this)
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

class EmbeddedSession implements WorkloadSession {
  readonly lendsMemory = true
  readonly workloadName: string
  readonly #link: Link
  readonly #id: number
  readonly #onClose: (session: EmbeddedSession) => void
  #closed = false

  constructor(
    link: Link,
    id: number,
    workloadName: string,
    onClose: (session: EmbeddedSession) => void,
  ) {
    this.#link = link
    this.#id = id
    this.workloadName = workloadName
    this.#onClose = onClose
  }

  get closed(): boolean {
    return this.#closed
  }

  call(method: string, params: PyInput = null, options: CallOptions = {}): Promise<PyValue> {
    if (!this.#closed) return call(this.#link, this.#id, method, params, options)
    endProgress(options.onProgress)
    const name = calledAs(method, params)
    return Promise.reject(new RuntimeClosedError(`Cannot call ${name}: the workload is closed`))
  }

  adjustExternalMemory(bytes: number): void {
    this.#link.bridge.adjustExternalMemory(bytes)
  }

  releaseModel(modelId: string): void {
    const match = /^m([1-9][0-9]{0,8})$/.exec(modelId)
    if (match !== null && !this.#closed) this.#link.bridge.release(this.#id, Number(match[1]))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#onClose(this)
    this.#link.bridge.disownSession(this.#id)
    if (this.#link.bridge.isOverdue()) {
      this.#link.bridge.release(this.#id, WHOLE_SESSION)
      return
    }
    await call(this.#link, HOST_SESSION, 'close_workload', { session: this.#id })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function checkGrace(graceMs: number): void {
  if (graceMs >= 0 && graceMs <= MAX_TIMER_MS) return
  throw new ValueError(
    `Cannot start Python: exitGraceMs must be from 0 to ${MAX_TIMER_MS}, got ${graceMs}`,
    'exitGraceMs',
  )
}

function stateOf({ method, isOverdue }: BridgeStatus): RuntimeState {
  if (isOverdue) return 'overdue'
  return method === '' ? 'idle' : 'running'
}

let stopsAtExit = false
let exitGraceMs = EXIT_GRACE_MS

/**
 * The `exit` event alone is seen on the natural end, on `process.exit()` and on uncaught errors. A
 * worker's own `exit` says nothing of the process; there the addon's cleanup hook does the same.
 */
function stopAtExit(bridge: Bridge, graceMs: number): void {
  exitGraceMs = graceMs
  if (stopsAtExit || !isMainThread) return
  stopsAtExit = true
  process.on('exit', (code) => {
    const quiet = bridge.shutDown(exitGraceMs, code)
    output.write(bridge.takeOutput())
    output.flush()
    if (!quiet) bridge.endNow(code)
  })
}
