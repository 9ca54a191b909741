/**
 * torchbed: CPython and PyTorch inside a Node.js process.
 *
 * @packageDocumentation
 */

export * from './lineage/index.js'
export * from './store/index.js'
export * from './data/index.js'
export * from './errors.js'
export { ModelHandle } from './project/model-handle.js'
export { qualityWeight, standardContributionWeight } from './project/contribution.js'
export {
  TorchProject,
  type TorchProjectOptions,
  type TrainWindow,
  type WorkloadRevision,
} from './project/torch-project.js'
export type { MemoryBatch, ModelCandidate, TrainBatch } from './project/workload-calls.js'
export {
  validateStateDictFilter,
  validateWorkloadConfig,
  WORKLOAD_CONFIG_DEFAULTS,
  type TorchRuntimeConfig,
  type TorchWorkloadConfig,
} from './project/workload-config.js'
export type { StandardSchema, WorkloadConfigSchema } from './project/workload-config-schema.js'
export {
  EmbeddedRuntime,
  type EmbeddedRuntimeOptions,
} from './runtime/embedded/embedded-runtime.js'
export {
  findPython,
  type FindPythonOptions,
  type PythonInstallation,
} from './runtime/python/find-python.js'
export { ProgressStream, type Progress, type ProgressListener } from './runtime/progress.js'
export type {
  CallOptions,
  PythonRuntime,
  RuntimeState,
  RuntimeStats,
  WorkloadSession,
  WorkloadSpec,
} from './runtime/python-runtime.js'
export { LentBuffer } from './runtime/lent-buffer.js'
export { PyFloat, type PyInput, type PyValue } from './runtime/values.js'
export {
  SubprocessRuntime,
  type SubprocessRuntimeOptions,
} from './runtime/process/subprocess-runtime.js'
export * from './safetensors/index.js'
export * from './schema/index.js'
