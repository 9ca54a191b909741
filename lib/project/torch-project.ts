import { ProtocolError } from '../errors.js'
import { EmbeddedRuntime } from '../runtime/embedded-runtime.js'
import type { CallOptions, PythonRuntime, WorkloadSession } from '../runtime/python-runtime.js'
import type { PyInput, PyValue } from '../runtime/values.js'
import {
  CapabilityEstimate,
  EvalSplit,
  list,
  Metrics,
  PythonBatchRef,
  type PythonTorchRuntimeConfig,
  record,
  text,
} from '../schema/index.js'
import { ModelHandle } from './model-handle.js'
import { pythonInput } from './python-input.js'

/** Which Python runs which workload: the record of spec section 2.1, with its defaults optional. */
export interface TorchRuntimeConfig extends Partial<
  Omit<PythonTorchRuntimeConfig, 'workload_factory' | 'workload_config'>
> {
  /** `module:attr` of the callable that makes the workload. */
  readonly workload_factory: string
  /**
   * What the factory is called with; docs/values.md says what arrives: `64` as an int, `0.5` and
   * `new PyFloat(1)` as floats. Default: null.
   */
  readonly workload_config?: PyInput
}

/** Options of {@link TorchProject.open}. */
export interface TorchProjectOptions {
  /** A runtime to share. Default: one of its own, in this process, closed with the project. */
  readonly runtime?: PythonRuntime | undefined
  /** Cancels the import of the workload. */
  readonly signal?: AbortSignal | undefined
}

const Hello = record('hello', { workload_name: text })
const CapabilityProbe = record('capability_probe', {
  runtime_device: text,
  capability: CapabilityEstimate,
})
const Created = record('model', { model_id: text })
const Measured = record('metrics', { metrics: Metrics })
const batchRefs = list(PythonBatchRef)

/**
 * A PyTorch workload and its models (spec section 2.9).
 *
 * Its calls run one at a time in the order they were made; projects that share a runtime take turns.
 * None blocks the event loop. Every method rejects with a {@link TorchbedError}: a hook missing or
 * raised, a bad metric or value, a released handle, an aborted call, a closed project.
 */
export class TorchProject implements AsyncDisposable {
  /** The workload's `workload_name`, else the name of its class. */
  readonly workloadName: string
  /** What `runtime_device()` said, such as `python-torch-cpu`. */
  readonly runtimeDevice: string
  /** What `capability_probe()` said when the project was opened. */
  readonly capability: CapabilityEstimate
  readonly #session: WorkloadSession
  readonly #ownRuntime: PythonRuntime | undefined

  /**
   * Starts Python where it does not run yet, imports the workload's factory, calls it and probes its
   * capability.
   */
  static async open(
    config: TorchRuntimeConfig,
    options: TorchProjectOptions = {},
  ): Promise<TorchProject> {
    let ownRuntime: PythonRuntime | undefined
    const runtime =
      options.runtime ??
      (ownRuntime = await EmbeddedRuntime.start({
        python: config.python_executable,
        env: config.env,
      }))
    try {
      const spec = {
        factory: config.workload_factory,
        config: config.workload_config,
        moduleSearchRoots: config.module_search_roots ?? [],
        env: config.env ?? {},
      }
      const session = await runtime.openWorkload(spec, { signal: options.signal })
      const { workload_name: name } = answer(Hello, await session.call('hello'))
      const probe = answer(CapabilityProbe, await session.call('capability_probe'))
      return new TorchProject(session, ownRuntime, name, probe.runtime_device, probe.capability)
    } catch (error) {
      await ownRuntime?.close()
      throw error
    }
  }

  private constructor(
    session: WorkloadSession,
    ownRuntime: PythonRuntime | undefined,
    workloadName: string,
    runtimeDevice: string,
    capability: CapabilityEstimate,
  ) {
    this.#session = session
    this.#ownRuntime = ownRuntime
    this.workloadName = workloadName
    this.runtimeDevice = runtimeDevice
    this.capability = capability
  }

  /** A new model. `device` defaults to {@link runtimeDevice}. */
  async initModel(
    device: string = this.runtimeDevice,
    options?: CallOptions,
  ): Promise<ModelHandle> {
    const result = await this.#session.call('init_model', { device }, options)
    return new ModelHandle(this.#session, answer(Created, result).model_id)
  }

  /** Trains the model in place on the batches, and returns the hook's metrics. */
  async trainWindow(
    model: ModelHandle,
    batches: readonly PythonBatchRef[],
    options?: CallOptions,
  ): Promise<Metrics> {
    return this.#measure(
      'train_window',
      model,
      { batches: pythonInput(batchRefs, batches) },
      options,
    )
  }

  /** Evaluates the model on a split. A failure is an error, never a metric. */
  async evaluate(model: ModelHandle, split: EvalSplit, options?: CallOptions): Promise<Metrics> {
    return this.#measure('evaluate', model, { split: pythonInput(EvalSplit, split) }, options)
  }

  /** Loads an artifact file into the model, through the workload's path hook, else its bytes hook. */
  async loadModelArtifactFile(
    model: ModelHandle,
    path: string,
    options?: CallOptions,
  ): Promise<ModelHandle> {
    await this.#artifact('load_model_artifact', model, path, options)
    return model
  }

  /** Writes the model to a file, through the workload's path hook, else its bytes hook. */
  async materializeModelArtifactFile(
    model: ModelHandle,
    path: string,
    options?: CallOptions,
  ): Promise<void> {
    await this.#artifact('materialize_model_artifact', model, path, options)
  }

  /** Drops the workload and its models, and the runtime where the project started its own. */
  async close(): Promise<void> {
    await this.#session.close()
    await this.#ownRuntime?.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #measure(
    method: string,
    model: ModelHandle,
    params: Record<string, PyInput>,
    options?: CallOptions,
  ): Promise<Metrics> {
    const model_id = model.idFor(this.#session, method)
    const result = await this.#session.call(method, { model_id, ...params }, options)
    return answer(Measured, result).metrics
  }

  async #artifact(
    method: string,
    model: ModelHandle,
    path: string,
    options?: CallOptions,
  ): Promise<void> {
    const model_id = model.idFor(this.#session, method)
    await this.#session.call(method, { model_id, artifact_path: path }, options)
  }
}

/** Reads an answer of the workload protocol, which a worker of another make may get wrong. */
function answer<T>(codec: { fromValue(value: unknown): T; name: string }, value: PyValue): T {
  try {
    return codec.fromValue(value)
  } catch (cause) {
    throw new ProtocolError(`decode result for python rpc ${codec.name}: ${String(cause)}`, {
      cause,
    })
  }
}
