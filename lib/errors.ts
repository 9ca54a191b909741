/**
 * The errors of torchbed: one class per reason, each with a stable `code`.
 *
 * Branch on `code`, not on the message. `cause` holds the underlying error where there is one.
 * Errors that carry something from Python also have `pythonType` and `pythonTraceback`.
 */

/** Base of every error that torchbed throws on purpose, {@link AbortError} included. */
export abstract class TorchbedError extends Error {
  /** Stable identifier of the reason, `ERR_…` (or `ABORT_ERR`). */
  abstract readonly code: string

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = new.target.name
  }
}

// --- environment: Python, its library, torch, the addon -------------------------------------------

/** How to repair what an {@link InstallationError} found. */
export interface Repair extends ErrorOptions {
  /** The one command that repairs it, for a shell. */
  readonly remedy?: string | undefined
  /** Another way out, as a sentence without its full stop. */
  readonly otherwise?: string | undefined
  /** Lines that follow, such as what was tried. */
  readonly details?: readonly string[] | undefined
}

/** Ends the messages of installation errors. */
const DOCTOR_HINT = '`npx torchbed doctor` checks the whole installation'

/**
 * Base of errors of the surroundings: Python, torch, the addon. The message is made of the other fields, which
 * `torchbed doctor` shows one by one.
 */
export abstract class InstallationError extends TorchbedError {
  /** What is wrong and why; a sentence without its full stop. */
  readonly problem: string
  /** The one command that repairs it, for a shell; undefined where no single one does. */
  readonly remedy: string | undefined
  /** Another way out, as a sentence without its full stop. */
  readonly otherwise: string | undefined
  /** Lines that follow, such as what was tried. */
  readonly details: readonly string[]

  constructor(problem: string, { remedy, otherwise, details = [], ...options }: Repair = {}) {
    const repair = remedy && `To repair it: ${remedy}`
    const sentences = [problem.replace(/\.$/, ''), repair, otherwise, DOCTOR_HINT].filter(Boolean)
    super([sentences.join('. '), ...details.map((line) => `  ${line}`)].join('\n'), options)
    this.problem = problem
    this.remedy = remedy
    this.otherwise = otherwise
    this.details = details
  }
}

/** No usable Python executable was found; the message lists what was tried and why each was refused. */
export class PythonNotFoundError extends InstallationError {
  readonly code = 'ERR_PYTHON_NOT_FOUND'
}

/** The chosen Python is older than the oldest supported version (3.11). */
export class PythonTooOldError extends InstallationError {
  readonly code = 'ERR_PYTHON_TOO_OLD'
}

/** The chosen Python has no shared libpython, or one for another processor than Node.js runs on. */
export class PythonSharedLibraryError extends InstallationError {
  readonly code = 'ERR_PYTHON_NO_SHARED_LIBRARY'
}

/** The chosen Python is a free-threaded build (no GIL), which the stable ABI does not cover. */
export class PythonFreeThreadedError extends InstallationError {
  readonly code = 'ERR_PYTHON_FREE_THREADED'
}

/** Python was found but could not be started; this process cannot try again. */
export class PythonStartError extends InstallationError {
  readonly code = 'ERR_PYTHON_START'
}

/** The workload imports torch, and the chosen Python has none. */
export class TorchMissingError extends InstallationError {
  readonly code = 'ERR_TORCH_MISSING'
}

/** torch is installed but cannot be imported: a shared library is missing or too old, or a file is damaged. */
export class TorchBrokenError extends InstallationError {
  readonly code = 'ERR_TORCH_BROKEN'
}

/** The native addon is absent, or cannot be loaded on this platform. */
export class AddonError extends InstallationError {
  readonly code = 'ERR_ADDON'
}

/**
 * This process already runs another Python, or has another value for a variable in `env`; or `env` sets a
 * `PYTHON*` variable after Python has started.
 */
export class RuntimeConflictError extends TorchbedError {
  readonly code = 'ERR_RUNTIME_CONFLICT'
}

// --- workload: the user's Python code ---------------------------------------------------------------

/** What is known of the Python exception behind an error. */
export interface PythonFailure {
  /** Qualified name of the exception's type, such as `ValueError` or `torch.OutOfMemoryError`. */
  readonly pythonType: string
  /** The whole traceback as Python prints it. */
  readonly pythonTraceback: string
}

/** Base of errors that a Python exception caused. */
export abstract class PythonFailureError extends TorchbedError implements PythonFailure {
  readonly pythonType: string
  readonly pythonTraceback: string
  /** Of a window of training: true when the hook had changed the model's tensors; undefined where that is not known. */
  readonly stateChanged: boolean | undefined

  constructor(
    message: string,
    failure: PythonFailure & { readonly stateChanged?: boolean | undefined },
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.pythonType = failure.pythonType
    this.pythonTraceback = failure.pythonTraceback
    this.stateChanged = failure.stateChanged
  }
}

/** `workload_factory` is not of the form `module:attr` (spec project#error-texts). */
export class WorkloadFactoryError extends TorchbedError {
  readonly code = 'ERR_WORKLOAD_FACTORY'
}

/**
 * The factory's module or attribute cannot be imported, the factory raised or returned `None`, or a module of
 * that name is already loaded from another file.
 */
export class WorkloadImportError extends PythonFailureError {
  readonly code = 'ERR_WORKLOAD_IMPORT'
}

/** The workload lacks a hook that the call needs (spec hooks#the-hooks). */
export class HookMissingError extends PythonFailureError {
  readonly code = 'ERR_HOOK_MISSING'
}

/** A hook raised an exception, `SystemExit` and `KeyboardInterrupt` included. */
export class HookRaisedError extends PythonFailureError {
  readonly code = 'ERR_HOOK_RAISED'
}

/** A hook returned a metric that is not a bool, int, float or str (spec hooks#metrics). */
export class MetricValueError extends PythonFailureError {
  readonly code = 'ERR_METRIC_VALUE'
}

/** A call named a method that the protocol does not have (spec worker-protocol#methods). */
export class UnknownMethodError extends PythonFailureError {
  readonly code = 'ERR_UNKNOWN_METHOD'
}

/** A call named a model id that this workload does not hold. */
export class UnknownModelError extends PythonFailureError {
  readonly code = 'ERR_UNKNOWN_MODEL'
}

/** Python failed outside the workload's code: a defect of torchbed or of its installation. */
export class PythonHostError extends PythonFailureError {
  readonly code = 'ERR_PYTHON_HOST'
}

// --- worker: a workload in a child process -------------------------------------------------------------

/**
 * A worker process ended before it connected, did not connect in time, speaks another version of the protocol, or
 * could not be started (spec worker-protocol).
 */
export class WorkerStartError extends TorchbedError {
  readonly code = 'ERR_WORKER_START'
}

/** A worker process ended during a call; `exitCode` or `signal` says how. Its models are lost. */
export class WorkerExitedError extends TorchbedError {
  readonly code = 'ERR_WORKER_EXITED'
  /** Its exit code; null when a signal killed it. */
  readonly exitCode: number | null
  /** The signal that killed it, such as `SIGSEGV`; null when it left by itself. */
  readonly signal: NodeJS.Signals | null

  constructor(
    message: string,
    status: { readonly exitCode: number | null; readonly signal: NodeJS.Signals | null },
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.exitCode = status.exitCode
    this.signal = status.signal
  }
}

// --- values, calls, lifetimes -----------------------------------------------------------------------

/** A value cannot cross between JavaScript and Python, or an argument does not fit; `path` says where. */
export class ValueError extends TorchbedError {
  readonly code = 'ERR_VALUE'
  /** Place of the value that cannot cross, such as `batches[3].payload.x`; empty for the value itself. */
  readonly path: string

  constructor(message: string, path: string, options?: ErrorOptions) {
    super(message, options)
    this.path = path
  }
}

/**
 * Python kept a reference to memory that was lent for one call, such as a tensor over it. The memory stays on loan
 * until Python lets go.
 */
export class BuffersRetainedError extends TorchbedError {
  readonly code = 'ERR_BUFFERS_RETAINED'
}

/** The call was cancelled through its `AbortSignal`. `cause` is the signal's reason. */
export class AbortError extends TorchbedError {
  readonly code = 'ABORT_ERR'
  /**
   * Of a window of training: true when the hook had changed the model's tensors before it ended. The model is
   * as usable as the hook left it. Undefined where it is not known.
   */
  readonly stateChanged: boolean | undefined

  constructor(
    message: string,
    options?: ErrorOptions & { readonly stateChanged?: boolean | undefined },
  ) {
    super(message, options)
    this.stateChanged = options?.stateChanged
  }
}

/**
 * The call's `timeoutMs` passed, and the call was cancelled. When it does not end, being inside
 * C code that asks for no signal or cleaning up, it is `overdue`, and until it returns other calls fail with {@link RuntimeBusyError}.
 */
export class DeadlineError extends TorchbedError {
  readonly code = 'ERR_DEADLINE'
  /** Whether Python was still in the call when this was thrown. */
  readonly overdue: boolean
  /** As of {@link AbortError}. Undefined while the call is overdue. */
  readonly stateChanged: boolean | undefined

  constructor(
    message: string,
    options: { readonly overdue: boolean; readonly stateChanged?: boolean | undefined },
  ) {
    super(message)
    this.overdue = options.overdue
    this.stateChanged = options.stateChanged
  }
}

/** Python is still inside a call whose deadline passed, and takes no other call until that one returns. */
export class RuntimeBusyError extends TorchbedError {
  readonly code = 'ERR_RUNTIME_BUSY'
}

/** The runtime or the workload session is closed, or the process is exiting. */
export class RuntimeClosedError extends TorchbedError {
  readonly code = 'ERR_RUNTIME_CLOSED'
}

/** A model handle was used after its release. */
export class HandleReleasedError extends TorchbedError {
  readonly code = 'ERR_HANDLE_RELEASED'
}

/** A revision or an artifact is for another workload, model schema or checkpoint format; `field` says which. */
export class RevisionMismatchError extends TorchbedError {
  readonly code = 'ERR_REVISION_MISMATCH'
  readonly field: 'workload_id' | 'model_schema_hash' | 'checkpoint_format_hash'

  constructor(field: RevisionMismatchError['field'], given: string, own: string) {
    super(`Cannot use ${field} ${JSON.stringify(given)}: this workload's is ${JSON.stringify(own)}`)
    this.field = field
  }
}

/** A model's evaluation is not finite, so the model was not promoted. */
export class EvaluationRefusedError extends TorchbedError {
  readonly code = 'ERR_EVALUATION_REFUSED'
}

/** One problem found in a configuration or a record. */
export interface ConfigIssue {
  /** Where, such as `runtime.env.PATH`; empty for the whole. */
  readonly path: string
  readonly message: string
}

/** A config or a record from outside does not have the required form; `issues` lists every problem with its path. */
export class ConfigError extends TorchbedError {
  readonly code = 'ERR_CONFIG'
  readonly issues: readonly ConfigIssue[]

  constructor(what: string, issues: readonly ConfigIssue[], options?: ErrorOptions) {
    const lines = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`))
    super(`${what}:\n${lines.map((line) => `  ${line}`).join('\n')}`, options)
    this.issues = issues
  }
}

/** A message of a peer is not what the protocol says: not CBOR, too large, or without the required form. */
export class WireFormatError extends TorchbedError {
  readonly code = 'ERR_WIRE_FORMAT'
  /** Where in the message, such as `Snapshot.head_announcements[3].head`; empty for the whole. */
  readonly path: string
  /** Index of the byte at which reading stopped. */
  readonly position: number

  constructor(what: string, issue: ConfigIssue, position: number, options?: ErrorOptions) {
    const where = issue.path === '' ? '' : `${issue.path}: `
    super(`${what}: ${where}${issue.message} (at byte ${position})`, options)
    this.path = issue.path
    this.position = position
  }
}

/**
 * A hook or a worker returned something of the wrong form, a parameter is missing or has the wrong type, or an answer
 * cannot be decoded (spec worker-protocol#methods).
 */
export class ProtocolError extends TorchbedError {
  readonly code = 'ERR_PROTOCOL'
}
