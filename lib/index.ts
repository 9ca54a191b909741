/**
 * torchbed: CPython and PyTorch inside a Node.js process. The everyday door: a project, its runtimes, values and
 * errors. Records, data, stores and roles have doors of their own (`torchbed/schema`, `/data`, `/store`, `/lineage`,
 * `/training`, `/safetensors`, `/zod`), and so have all error classes (`torchbed/errors`).
 *
 * @packageDocumentation
 */

export { localDataset } from './data/local-dataset.js'
export {
  AbortError,
  ConfigError,
  DeadlineError,
  HookRaisedError,
  InstallationError,
  PythonFailureError,
  RuntimeBusyError,
  RuntimeClosedError,
  TorchbedError,
  ValueError,
  WorkerExitedError,
} from './errors.js'
export type { BatchedHook, BatchOptions } from './project/batched-hook.js'
export type { HookInput, HookOutput } from './project/hook-values.js'
export { ModelHandle } from './project/model-handle.js'
export {
  TorchProject,
  type HookCallOptions,
  type TorchProjectOptions,
  type TrainWindow,
  type WorkloadRevision,
} from './project/torch-project.js'
export type { ModelCandidate } from './project/model-candidate.js'
export type { MemoryBatch, TrainBatch } from './project/train-batch.js'
export type {
  TorchRuntimeConfig,
  TorchWorkloadConfig,
  WorkloadConfigField,
} from './project/workload-config.js'
export type {
  AnyWorkloadConfig,
  SchemaInput,
  SchemaResult,
  StandardSchema,
  WorkloadConfigSchema,
} from './project/workload-config-schema.js'
export {
  EmbeddedRuntime,
  type EmbeddedRuntimeOptions,
} from './runtime/embedded/embedded-runtime.js'
export { LentBuffer } from './runtime/lent-buffer.js'
export {
  SubprocessRuntime,
  type SubprocessRuntimeOptions,
} from './runtime/process/subprocess-runtime.js'
export { ProgressStream, type Progress, type ProgressListener } from './runtime/progress.js'
export {
  findPython,
  type FindPythonOptions,
  type PythonInstallation,
  type RefusedPython,
} from './runtime/python/find-python.js'
export type {
  CallOptions,
  PythonRuntime,
  RuntimeState,
  RuntimeStats,
  WorkloadSession,
  WorkloadSpec,
} from './runtime/python-runtime.js'
export { Tensor, tensor, type TensorData, type TensorDtype } from './runtime/tensor.js'
export { PyFloat, type PyInput, type PyValue } from './runtime/values.js'
export type { Experiment } from './training/experiment.js'
export { localTraining } from './training/local-training.js'
