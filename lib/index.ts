/**
 * torchbed: CPython and PyTorch inside a Node.js process.
 *
 * @packageDocumentation
 */

export * from './errors.js'
export { ModelHandle } from './project/model-handle.js'
export {
  TorchProject,
  type TorchProjectOptions,
  type TorchRuntimeConfig,
} from './project/torch-project.js'
export { EmbeddedRuntime, type EmbeddedRuntimeOptions } from './runtime/embedded-runtime.js'
export {
  findPython,
  type FindPythonOptions,
  type PythonInstallation,
} from './runtime/find-python.js'
export type {
  CallOptions,
  PythonRuntime,
  WorkloadSession,
  WorkloadSpec,
} from './runtime/python-runtime.js'
export { PyFloat, type PyInput, type PyValue } from './runtime/values.js'
export * from './schema/index.js'
