import * as errors from '../errors.js'
import { RefusedValue } from './conversion-error.js'

/** How a failed call arrives from the bridge, or from a worker: no error object, only facts. */
export interface CallFailure {
  readonly code: string
  readonly message: string
  readonly pythonType: string
  readonly traceback: string
  readonly path: string
  /** See AbortError. */
  readonly stateChanged?: boolean | undefined
}

const pythonFailures = {
  ERR_WORKLOAD_IMPORT: errors.WorkloadImportError,
  ERR_HOOK_MISSING: errors.HookMissingError,
  ERR_HOOK_RAISED: errors.HookRaisedError,
  ERR_METRIC_VALUE: errors.MetricValueError,
  ERR_UNKNOWN_METHOD: errors.UnknownMethodError,
  ERR_UNKNOWN_MODEL: errors.UnknownModelError,
} as const

const plainFailures = {
  ERR_RUNTIME_CONFLICT: errors.RuntimeConflictError,
  ERR_RUNTIME_CLOSED: errors.RuntimeClosedError,
  ERR_WORKLOAD_FACTORY: errors.WorkloadFactoryError,
  ERR_BUFFERS_RETAINED: errors.BuffersRetainedError,
  ERR_PROTOCOL: errors.ProtocolError,
} as const

const installationFailures = {
  ERR_PYTHON_START: errors.PythonStartError,
  ERR_TORCH_MISSING: errors.TorchMissingError,
  ERR_TORCH_BROKEN: errors.TorchBrokenError,
} as const

/** Whether `reason` is what the bridge rejects with, rather than an error of another origin. */
export function isCallFailure(reason: unknown): reason is CallFailure {
  return typeof reason === 'object' && reason !== null && 'code' in reason && 'traceback' in reason
}

/** The typed error of a failed call to `method`. */
export function errorFromFailure(failure: CallFailure, method: string): errors.TorchbedError {
  const message = `python rpc ${method} failed: ${failure.message}`
  const { code, traceback } = failure
  if (code === 'ERR_VALUE') {
    const place = failure.path === '' ? '' : ` at ${failure.path}`
    return new errors.ValueError(`${message}${place}`, failure.path)
  }
  if (code === 'ABORT_ERR') {
    return new errors.AbortError(`${method} was aborted`, { stateChanged: failure.stateChanged })
  }
  if (isKeyOf(installationFailures, code)) {
    // As python/torchbed/_host/torch_failures.py writes it.
    const [problem = '', remedy] = failure.message.split('. To repair it: ')
    return withPythonTraceback(new installationFailures[code](problem, { remedy }), traceback)
  }
  if (isKeyOf(plainFailures, code)) {
    return withPythonTraceback(new plainFailures[code](failure.message), traceback)
  }
  const Class = isKeyOf(pythonFailures, code) ? pythonFailures[code] : errors.PythonHostError
  const { pythonType, stateChanged } = failure
  const error = new Class(message, { pythonType, pythonTraceback: traceback, stateChanged })
  return withPythonTraceback(error, traceback)
}

/** The typed error of parameters that could not be read: refused, or a getter threw. */
export function parametersError(cause: unknown, method: string): errors.TorchbedError {
  if (cause instanceof RefusedValue) {
    const { message, path } = cause
    const failure = { code: 'ERR_VALUE', message, path, pythonType: '', traceback: '' }
    return errorFromFailure(failure, method)
  }
  const message = `Cannot read the parameters of ${method}: ${String(cause)}`
  return new errors.ValueError(message, '', { cause })
}

/** The stack continues into Python, so that an uncaught error shows both. */
function withPythonTraceback<E extends Error>(error: E, traceback: string): E {
  if (traceback !== '') error.stack = `${error.stack ?? error.message}\n${traceback.trimEnd()}`
  return error
}

function isKeyOf<T extends object>(table: T, key: string): key is Extract<keyof T, string> {
  return Object.hasOwn(table, key)
}
