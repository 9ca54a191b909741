import type { PyInput, PyValue } from './values.js'

/**
 * Python, wherever it runs. One interface, two runtimes: in this process ({@link EmbeddedRuntime})
 * or in child processes ({@link SubprocessRuntime}). Every method of both may be called from the JS thread at any time; nothing
 * blocks it.
 */
export interface PythonRuntime extends AsyncDisposable {
  /** Imports a workload's factory and calls it with its configuration. */
  openWorkload(spec: WorkloadSpec, options?: CallOptions): Promise<WorkloadSession>
  /** Closes the runtime's sessions. Later calls fail with `ERR_RUNTIME_CLOSED`. Harmless twice. */
  close(): Promise<void>
}

/** What to run (spec section 2.1). */
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
   * Calls a method of the workload protocol (spec section 3.2).
   *
   * Rejects with a {@link TorchbedError}: hook missing or raised, metric or value that cannot cross,
   * aborted, closed, or the child process ended.
   */
  call(method: string, params?: PyInput, options?: CallOptions): Promise<PyValue>
  /** Drops a model without waiting for it. Unknown ids and closed sessions are ignored. */
  releaseModel(modelId: string): void
  /** Drops the workload and its models. Harmless twice. */
  close(): Promise<void>
}

export interface CallOptions {
  /**
   * Cancels the call: at once while it is queued, between two Python instructions while it runs.
   * One long call into C cannot be interrupted; the promise then settles when it returns. A child
   * process that does not react is killed (docs/isolation.md).
   */
  readonly signal?: AbortSignal | undefined
}
