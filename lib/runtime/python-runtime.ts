import type { ProgressListener } from './progress.js'
import type { PyInput, PyValue } from './values.js'

/**
 * Python, wherever it runs. One interface, two runtimes: in this process ({@link EmbeddedRuntime})
 * or in child processes ({@link SubprocessRuntime}). Every method of both may be called from the JS thread at any time; nothing
 * blocks it.
 */
export interface PythonRuntime extends AsyncDisposable {
  /** The Python that runs. Its version is null for one that only runs third-party workers. */
  readonly python: { readonly version: string | null; readonly executable: string }
  readonly state: RuntimeState
  /** Synchronous; does not call into Python. */
  stats(): RuntimeStats
  /** Imports a workload's factory and calls it with its configuration. */
  openWorkload(spec: WorkloadSpec, options?: CallOptions): Promise<WorkloadSession>
  /** Closes the runtime's sessions. Later calls fail with `ERR_RUNTIME_CLOSED`. Idempotent. */
  close(): Promise<void>
}

/** What to run (spec project#runtime-config). */
export interface WorkloadSpec {
  /** `module:attr` of a callable that takes the configuration and returns the workload. */
  readonly factory: string
  /** Given to the factory as it is. Default: null. */
  readonly config?: PyInput
  /** Folders put in front of `sys.path`, in this order. Default: none. */
  readonly moduleSearchRoots?: readonly string[]
  /** Environment variables set before the import. Default: none. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * One workload in a runtime. Calls of a session run one at a time, in order; in this process, those of
 * all sessions do.
 */
export interface WorkloadSession extends AsyncDisposable {
  readonly workloadName: string
  readonly closed: boolean
  /** Whether a {@link LentBuffer} can be passed: not to another process. Default false. */
  readonly lendsMemory?: boolean
  /**
   * Calls a method of the workload protocol (spec worker-protocol#methods).
   *
   * Rejects with a {@link TorchbedError}: hook missing or raised, metric or value that cannot cross,
   * aborted, closed, or the child process ended.
   */
  call(method: string, params?: PyInput, options?: CallOptions): Promise<PyValue>
  /** Tells V8 of so much more memory that handles keep alive in this process, or below zero, of less. */
  adjustExternalMemory?(bytes: number): void
  /** Drops a model without waiting for it. Unknown ids and closed sessions are ignored. */
  releaseModel(modelId: string): void
  /** Drops the workload and its models. Idempotent. */
  close(): Promise<void>
}

/** How a call may end early, and where its progress goes. */
export interface CallOptions {
  /**
   * Cancels the call: at once while it is queued, between two Python instructions while it runs.
   * One long call into C cannot be interrupted; the promise then settles when it returns. A child
   * process that does not react is killed (docs/guide/isolation.md).
   */
  readonly signal?: AbortSignal | undefined
  /**
   * The call's deadline, in milliseconds from now: then it is cancelled, and rejects with a
   * `DeadlineError` within a tenth of a second, even during one long call into C. Default: none.
   */
  readonly timeoutMs?: number | undefined
  /** Receives the hook's `torchbed.progress()` reports. Default: none. */
  readonly onProgress?: ProgressListener | undefined
  /**
   * Goes before the calls that wait, and does not wait for the end of the one that runs: it runs inside that one when
   * that comes to `torchbed.yield_point()`, as a window of `torchbed.workload.Module` does between two steps. It sees
   * the model as it is then. Urgent calls among themselves keep their order. A third party's worker has no such
   * points. Default false.
   */
  readonly urgent?: boolean | undefined
}

/** What a runtime is doing. */
export type RuntimeState =
  /** Nothing; it takes calls. */
  | 'idle'
  /** A call runs. */
  | 'running'
  /** A call runs whose deadline passed: others fail with {@link RuntimeBusyError} until it returns. */
  | 'overdue'
  | 'closed'

/** Facts about a runtime at this moment; to be shown, or watched for leaks. */
export interface RuntimeStats {
  readonly state: RuntimeState
  /** Calls that wait for their turn. */
  readonly queued: number
  /** The call that runs, and for how long, in milliseconds; null when none does. */
  readonly running: { readonly method: string; readonly ageMs: number } | null
  /** Open workloads of this runtime. */
  readonly sessions: number
  /** Models that Python holds for all runtimes of this process; null where it cannot be told. */
  readonly models: number | null
  /** Memory lent to Python just now, or kept by it. */
  readonly lent: { readonly buffers: number; readonly bytes: number }
  /** As of the runtime. */
  readonly python: PythonRuntime['python']
  /** Of this process, in bytes: all of it, Python's share included where Python lives here. */
  readonly memory: { readonly rss: number; readonly arrayBuffers: number }
}
