import type { FsArtifactStore } from '../store/index.js'
import {
  localUpstreamRoot,
  processedCounts,
  shardedDataPipeline,
  type LeaseDataPipeline,
} from '../data/index.js'
import {
  AbortError,
  ConfigError,
  RevisionMismatchError,
  RuntimeClosedError,
  TorchbedError,
} from '../errors.js'
import { EmbeddedRuntime } from '../runtime/embedded/embedded-runtime.js'
import type { CallOptions, PythonRuntime, WorkloadSession } from '../runtime/python-runtime.js'
import { SubprocessRuntime } from '../runtime/process/subprocess-runtime.js'
import {
  timestampNow,
  type ArtifactDescriptor,
  type ArtifactKind,
  type AssignmentLease,
  type CachedMicroShard,
  type CapabilityEstimate,
  type ContentId,
  type DatasetRegistration,
  EvalSplit,
  type HeadId,
  type LeaseDataPipelineDescriptor,
  type LeaseDataPipelineKind,
  MergePolicy,
  type MetricReport,
  type Metrics,
  type MicroShardPlan,
  type PatchOutcome,
  type PatchSupport,
  type PythonBatchRef,
  RuntimePatch,
  type SupportedWorkload,
  TrainerCanonicalReconcileStrategy,
  type WindowReport,
  type WorkloadId,
} from '../schema/index.js'
import { batchedHook, type BatchedHook, type BatchOptions } from './batched-hook.js'
import { standardContributionWeight } from './contribution.js'
import { callHook } from './hook-calls.js'
import { HookStream } from './hook-stream.js'
import type { HookInput, HookOutput } from './hook-values.js'
import { ModelArtifacts } from './model-artifacts.js'
import { candidateInput, type ModelCandidate } from './model-candidate.js'
import { ModelHandle } from './model-handle.js'
import { pythonInput } from './python-input.js'
import { batchInput, type TrainBatch } from './train-batch.js'
import {
  readWith,
  readWorkloadConfig,
  type AnyWorkloadConfig,
  type SchemaInput,
  type StandardSchema,
  type WorkloadConfigSchema,
} from './workload-config-schema.js'
import {
  validateWorkloadConfig,
  WORKLOAD_CONFIG_DEFAULTS,
  type TorchRuntimeConfig,
  type TorchWorkloadConfig,
} from './workload-config.js'
import { ask, type AnswerOf } from './workload-methods.js'

/** Options of {@link TorchProject.open}. */
export interface TorchProjectOptions<Schema extends WorkloadConfigSchema = AnyWorkloadConfig> {
  /**
   * What `workload_config` must be, as a schema of zod (^3.24 or 4) or of any other library of Standard Schema.
   * It types `workload_config`, and reads it before Python runs: the factory gets the schema's output, defaults
   * included. Default: any value that can cross.
   */
  readonly workloadConfigSchema?: Schema | undefined
  /** A runtime to share. Default: a new one, closed with the project. */
  readonly runtime?: PythonRuntime | undefined
  /**
   * Where the project's own runtime runs Python: in this process, or in a child process, which may crash
   * alone (docs/guide/isolation.md). Default `none`.
   */
  readonly isolation?: 'none' | 'process' | undefined
  /** Where batches come from. Default: the sharded pipeline over the config's `dataset`. */
  readonly pipeline?: LeaseDataPipeline | undefined
  /** Cancels the import of the workload. */
  readonly signal?: AbortSignal | undefined
}

/** One training window (spec project#operations, `train_window`). */
export interface TrainWindow {
  /** Trained in place. */
  readonly model: ModelHandle
  readonly batches: readonly TrainBatch[]
  /** The microshards that the batches were made of; what is counted when the workload does not count. */
  readonly cachedMicroshards?: readonly CachedMicroShard[]
}

/** How a hook of a workload's own is called, and what checks its values. */
export interface HookCallOptions<Input = HookInput, Output = HookOutput> extends CallOptions {
  /** Reads the input before it is passed. Default: passed as it is. */
  readonly input?: StandardSchema<Input, unknown> | undefined
  /** Reads what the hook returned. Default: taken as it is. */
  readonly output?: StandardSchema<unknown, Output> | undefined
}

/** What a revision of an experiment asks of its workload. */
export interface WorkloadRevision {
  readonly workload_id: WorkloadId
  readonly model_schema_hash: ContentId
  readonly checkpoint_format_hash: ContentId
}

/**
 * A PyTorch workload: its models, its data and its artifacts (spec project#the-project and project#operations).
 *
 * Calls into Python run one at a time in the order they were made; projects that share a runtime take
 * turns. None blocks the event loop. Every method rejects with a {@link TorchbedError}: a hook missing
 * or raised, a bad metric or value, a released handle, an aborted call, a closed project, a config
 * that lacks what the method needs.
 */
export class TorchProject implements AsyncDisposable {
  /** As given, with the defaults that `workloadConfigSchema` has put into `workload_config`. */
  readonly config: TorchWorkloadConfig
  /** The workload's `workload_name`, else the name of its class. */
  readonly workloadName: string
  readonly #session: WorkloadSession
  readonly #probe: AnswerOf<'capability_probe'>
  readonly #artifacts: ModelArtifacts
  readonly #ownRuntime: PythonRuntime | undefined
  readonly #pipeline: LeaseDataPipeline | undefined

  /**
   * Starts Python where it does not run yet, imports the workload's factory, calls it and probes its
   * capability.
   *
   * Throws {@link ConfigError} before Python runs, with every problem, for a `workload_config` that its schema
   * refuses.
   */
  static async open<Schema extends WorkloadConfigSchema = AnyWorkloadConfig>(
    given: TorchWorkloadConfig<SchemaInput<Schema>>,
    options: TorchProjectOptions<Schema> = {},
  ): Promise<TorchProject> {
    validateWorkloadConfig(given)
    refuseIsolationOfShared(options)
    const config = await readWorkloadConfig(given, options.workloadConfigSchema)
    const { workload_factory, workload_config, module_search_roots, env } = config.runtime
    const python = config.runtime.python_executable
    let ownRuntime: PythonRuntime | undefined
    const runtime =
      options.runtime ?? (ownRuntime = await startRuntime({ python, env }, options.isolation))
    try {
      const spec = {
        factory: workload_factory,
        config: workload_config,
        moduleSearchRoots: module_search_roots ?? [],
        env: env ?? {},
      }
      const { signal } = options
      const session = await runtime.openWorkload(spec, { signal })
      const { workload_name: name } = await ask(session, 'hello', null)
      const probe = await ask(session, 'capability_probe', null, { signal })
      const pipeline = options.pipeline ?? (config.dataset && shardedDataPipeline(config.dataset))
      return new TorchProject(config, session, name, probe, pipeline, ownRuntime)
    } catch (error) {
      await ownRuntime?.close()
      throw error
    }
  }

  private constructor(
    config: TorchWorkloadConfig,
    session: WorkloadSession,
    workloadName: string,
    probe: AnswerOf<'capability_probe'>,
    pipeline: LeaseDataPipeline | undefined,
    ownRuntime: PythonRuntime | undefined,
  ) {
    this.config = config
    this.workloadName = workloadName
    this.#session = session
    this.#artifacts = new ModelArtifacts(session)
    this.#probe = probe
    this.#pipeline = pipeline
    this.#ownRuntime = ownRuntime
  }

  get closed(): boolean {
    return this.#session.closed
  }

  /** Drops the workload and its models, and the runtime where the project started its own. */
  async close(): Promise<void> {
    await this.#session.close()
    await this.#ownRuntime?.close()
  }

  /** `close()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // --- what the workload is --------------------------------------------------------------------

  /** What `runtime_device()` said when the project was opened, such as `python-torch-cpu`. */
  get runtimeDevice(): string {
    return this.#probe.runtime_device
  }

  /** What `capability_probe()` said when the project was opened. */
  get capability(): CapabilityEstimate {
    return this.#probe.capability
  }

  /** Asks the workload again; {@link capability} stays what it was. */
  async probeCapability(options?: CallOptions): Promise<CapabilityEstimate> {
    return (await ask(this.#session, 'capability_probe', null, options)).capability
  }

  /**
   * The capability that was probed when the project was opened; nothing is measured anew.
   *
   * @deprecated only for parity with the reference: use {@link capability}, or {@link probeCapability} to measure
   */
  benchmark(): CapabilityEstimate {
    return this.capability
  }

  /** Throws {@link ConfigError} when the config names none, as the getters below do. */
  get supportedWorkload(): SupportedWorkload {
    return this.#required('supported_workload')
  }

  get workloadId(): WorkloadId {
    return this.supportedWorkload.workload_id
  }

  get checkpointFormatHash(): ContentId {
    return this.supportedWorkload.checkpoint_format_hash
  }

  get modelSchemaHash(): ContentId {
    return this.#required('model_schema_hash')
  }

  /** Which patches the config says that the workload takes; none by default. */
  get supportedPatchClasses(): PatchSupport {
    return this.config.patch_support ?? WORKLOAD_CONFIG_DEFAULTS.patch_support
  }

  /** Throws {@link RevisionMismatchError} unless the revision is for this very workload. */
  verifyRevision(revision: WorkloadRevision): void {
    const own: WorkloadRevision = {
      workload_id: this.workloadId,
      model_schema_hash: this.modelSchemaHash,
      checkpoint_format_hash: this.checkpointFormatHash,
    }
    for (const field of ['workload_id', 'model_schema_hash', 'checkpoint_format_hash'] as const) {
      if (revision[field] !== own[field]) {
        throw new RevisionMismatchError(field, revision[field], own[field])
      }
    }
  }

  /**
   * Does nothing for the project's own workload: a project runs one.
   *
   * @deprecated only for parity with the reference: use {@link verifyRevision}, and open a project for each workload
   * @throws RevisionMismatchError for another workload
   */
  switchRuntimeWorkload(workloadId: WorkloadId): void {
    if (workloadId !== this.workloadId) {
      throw new RevisionMismatchError('workload_id', workloadId, this.workloadId)
    }
  }

  // --- data ------------------------------------------------------------------------------------

  /** Throws {@link ConfigError} when the project has neither a pipeline nor a dataset. */
  get pipeline(): LeaseDataPipeline {
    return this.#pipeline ?? this.#missing('dataset')
  }

  /** @deprecated only for parity with the reference: use `pipeline.descriptor` */
  get dataPipelineDescriptor(): LeaseDataPipelineDescriptor {
    return this.pipeline.descriptor
  }

  /** @deprecated only for parity with the reference: use `pipeline.descriptor.kind` */
  get dataPipelineKind(): LeaseDataPipelineKind {
    return this.pipeline.descriptor.kind
  }

  /** The dataset, its view and its upstream, as the pipeline answers them. */
  async datasetRegistration(options?: CallOptions): Promise<DatasetRegistration> {
    return this.pipeline.registration(options)
  }

  /**
   * The folder of the dataset's upstream when that is local, else null.
   *
   * @deprecated only for parity with the reference: use `localUpstreamRoot(await project.datasetRegistration())` of
   * `torchbed/data`
   */
  async localUpstreamRoot(): Promise<string | null> {
    return localUpstreamRoot(await this.datasetRegistration())
  }

  /**
   * The config's dataset folder; null when the config has no dataset.
   *
   * @deprecated only for parity with the reference: use `config.dataset?.root`
   */
  get configuredShardRoot(): string | null {
    return this.config.dataset?.root ?? null
  }

  /** The plan of a registration, as the pipeline makes it. */
  async microshardPlan(
    registration: DatasetRegistration,
    options?: CallOptions,
  ): Promise<MicroShardPlan> {
    return this.pipeline.plan(registration, options)
  }

  /** The batches of a lease, as the pipeline makes them of the shards that are in the cache. */
  async loadBatches(
    lease: AssignmentLease,
    cached: readonly CachedMicroShard[],
    options?: CallOptions,
  ): Promise<readonly PythonBatchRef[]> {
    return this.pipeline.loadBatches(lease, cached, options)
  }

  // --- models ----------------------------------------------------------------------------------

  /** A new model. `device` defaults to {@link runtimeDevice}. */
  async initModel(
    device: string = this.runtimeDevice,
    options?: CallOptions,
  ): Promise<ModelHandle> {
    const { model_id } = await ask(this.#session, 'init_model', { device }, options)
    return this.#handle(model_id)
  }

  /**
   * Trains the model in place. The report's stats are the hook's metrics, with `batch_count` and, when
   * microshards are given, `microshard_count` written by the host. `examples_processed` and
   * `tokens_processed` are what the workload counted; where it does not count, the plan's estimates
   * stand in for them when above zero.
   */
  async trainWindow(window: TrainWindow, options?: CallOptions): Promise<WindowReport> {
    const { model, batches, cachedMicroshards: cached = [] } = window
    const params = { ...this.#idOf(model, 'train_window'), batches: batches.map(batchInput) }
    const { metrics } = await ask(this.#session, 'train_window', params, options)
    return {
      contribution: null,
      stats: { ...metrics, ...hostCounts(metrics, batches.length, cached) },
      completed_at: timestampNow(),
    }
  }

  /** Evaluates the model on a split. A failure is an error, never a metric. */
  async evaluate(
    model: ModelHandle,
    split: EvalSplit,
    options?: CallOptions,
  ): Promise<MetricReport> {
    const params = { ...this.#idOf(model, 'evaluate'), split: pythonInput(EvalSplit, split) }
    const { metrics } = await ask(this.#session, 'evaluate', params, options)
    return { metrics, captured_at: timestampNow() }
  }

  /**
   * Gives the workload a patch. When the workload fails at it, the outcome is `Rejected`. Throws what
   * is not the workload's: an aborted call, a closed project, {@link ConfigError} for a malformed patch.
   */
  async applyPatch(patch: RuntimePatch, options?: CallOptions): Promise<PatchOutcome> {
    try {
      const params = pythonInput(RuntimePatch, patch)
      return await ask(this.#session, 'apply_patch', params, options)
    } catch (error) {
      const notTheWorkloads = [AbortError, RuntimeClosedError, ConfigError]
      if (
        !(error instanceof TorchbedError) ||
        notTheWorkloads.some((type) => error instanceof type)
      ) {
        throw error
      }
      return { Rejected: error.message }
    }
  }

  /**
   * The stats of a window, which are what a contribution reports.
   *
   * @deprecated only for parity with the reference: use `report.stats`
   */
  contributionMetrics(report: WindowReport): Metrics {
    return report.stats
  }

  /** {@link standardContributionWeight} of the stats, else 1. */
  contributionWeight(report: WindowReport): number {
    return standardContributionWeight(report.stats) ?? 1
  }

  /** Merges candidates over a base; null when the workload declines. Throws `ERR_VALUE` for a weight that is negative or not finite. */
  async mergeCandidateModels(
    base: ModelHandle,
    candidates: readonly ModelCandidate[],
    policy: MergePolicy,
    options?: CallOptions,
  ): Promise<ModelHandle | null> {
    const method = 'merge_candidate_models'
    const params = {
      base_model_id: base.idFor(this.#session, method),
      candidates: candidates.map((candidate) => candidateInput(candidate, this.#session)),
      policy: pythonInput(MergePolicy, policy),
    }
    const { model_id } = await ask(this.#session, method, params, options)
    return model_id === null ? null : this.#handle(model_id)
  }

  /**
   * Calls a method of the workload that it lists in `callable_hooks`, or decorates with `torchbed.callable_hook`:
   * `hook(state, input)`, without the state for `model` null and without the input where none is given.
   *
   * All values of docs/reference/values.md cross both ways, and a {@link Tensor} anywhere among them, which the hook
   * sees as a `torch.Tensor`. A tensor that it returns is copied once, into memory of its own: gradients, devices and
   * strides do not matter. The types are yours to state; `options.input` and `options.output` check them by a schema
   * of zod or of any library of Standard Schema.
   *
   * @throws HookMissingError for a hook that the workload does not offer
   * @throws ValueError for a value that cannot cross; its `path` says where, such as `input.x`
   * @throws BuffersRetainedError when the hook kept a tensor of its input
   * @throws ConfigError for a value that a schema refuses
   */
  async call<Input = HookInput, Output = HookOutput>(
    model: ModelHandle | null,
    hook: string,
    input?: Input,
    options: HookCallOptions<Input, Output> = {},
  ): Promise<Output> {
    const given = options.input ? await readWith(options.input, input, 'input') : input
    const session = this.#session
    const output = await callHook({ session, model, hook, input: given }, options)
    if (options.output) return readWith(options.output, output, 'output')
    return output as Output
  }

  /**
   * A function that gathers calls of a hook into batches: many calls at the same time become one, whose tensors have
   * one more dimension in front. It is a server's way to a high throughput.
   *
   * Calls whose inputs have the same keys, dtypes and shapes go together. In their stacked input, a tensor
   * `[…]` becomes `[n, …]`, an object keeps its keys, and any other value becomes a list with one entry a call. The
   * hook answers in the same way: tensors and lists of n entries, alone or in objects. A caller gets its own entry.
   * The memory of an input is read when its batch is sent; leave it as it is until then.
   *
   * A hook that raises fails all calls of the batch; one that returns `torchbed.BatchResult(output, failed)` fails
   * the named ones alone. A caller that aborts, or whose deadline passes, leaves the others undisturbed.
   *
   * @throws ValueError at once, for a `maxBatch` or `maxWaitMs` that is none; and from the call, for an input that
   * cannot cross
   * @throws ProtocolError from the call, when the hook's answer has not n entries
   */
  batched<Input = HookInput, Output = HookOutput>(
    model: ModelHandle | null,
    hook: string,
    options: BatchOptions<Input, Output> = {},
  ): BatchedHook<Input, Output> {
    return batchedHook({ session: this.#session, model, hook }, options)
  }

  /**
   * What a generator hook yields, or an async generator, or another iterator: `hook(state, input)` of the hooks that
   * {@link call} may call, with the same values and schemas; `options.output` reads each item. Nothing runs before
   * the first item is asked for. The generator is then at most `readAhead` items ahead of the consumer, 32 by default;
   * with 0 it runs only while an item is waited for, at the price of a call for each. A tensor of the input is copied,
   * as the generator outlives the call. Between two items other calls of the runtime take their turns, a window of
   * training too: a model that trains may have other weights for the next item.
   *
   * An error in the generator comes after the items before it. `timeoutMs` is for the whole stream, from the first
   * `next()` on. Leaving the loop, the signal and the deadline end the generator, whose `finally` runs; a stream that is
   * dropped without a word ends when it is garbage-collected.
   *
   * @throws HookMissingError, as an error of the first item, for a hook that the workload does not offer
   * @throws ValueError at once, for a `readAhead` or `timeoutMs` that is none
   */
  stream<Input = HookInput, Item = HookOutput>(
    model: ModelHandle | null,
    hook: string,
    input?: Input,
    options: HookCallOptions<Input, Item> & { readonly readAhead?: number | undefined } = {},
  ): AsyncGenerator<Item, undefined, undefined> {
    const session = this.#session
    const { input: inputSchema, output, readAhead } = options
    const open = async () => ({
      session,
      model,
      hook,
      input: inputSchema ? await readWith(inputSchema, input, 'input') : input,
    })
    const read = (item: HookOutput) => (output ? readWith(output, item, 'output') : (item as Item))
    return new HookStream<Item>({ session, hook, open, read, readAhead }, options)
  }

  /** Averages the merged model with its base over time; changes and returns `merged`. */
  async applySingleRootEma(
    base: ModelHandle,
    merged: ModelHandle,
    policy: MergePolicy,
    options?: CallOptions,
  ): Promise<ModelHandle> {
    const method = 'apply_single_root_ema'
    const params = {
      base_model_id: base.idFor(this.#session, method),
      merged_model_id: merged.idFor(this.#session, method),
      policy: pythonInput(MergePolicy, policy),
    }
    await this.#session.call(method, params, options)
    return merged
  }

  /** Takes a new canonical model over into training; changes and returns `canonical`. */
  async reconcileCanonicalModel(
    local: ModelHandle,
    canonical: ModelHandle,
    strategy: TrainerCanonicalReconcileStrategy,
    options?: CallOptions,
  ): Promise<ModelHandle> {
    const method = 'reconcile_canonical_model'
    const params = {
      local_model_id: local.idFor(this.#session, method),
      canonical_model_id: canonical.idFor(this.#session, method),
      strategy: pythonInput(TrainerCanonicalReconcileStrategy, strategy),
    }
    await this.#session.call(method, params, options)
    return canonical
  }

  /**
   * Lets the workload write all that training depends on to a file: the weights, the optimizer, the sampler. For the
   * machine's own use; peers exchange artifacts. Needs the hook `save_training_state`.
   *
   * @param path absolute; of a file that is not there yet, in a folder that is
   * @throws HookMissingError
   */
  async saveTrainingState(model: ModelHandle, path: string, options?: CallOptions): Promise<void> {
    const params = { ...this.#idOf(model, 'save_training_state'), path }
    await this.#session.call('save_training_state', params, options)
  }

  /**
   * Loads such a file into a new model. Needs the hook `load_training_state`.
   *
   * @throws HookMissingError
   */
  async loadTrainingState(
    model: ModelHandle,
    path: string,
    options?: CallOptions,
  ): Promise<ModelHandle> {
    const params = { ...this.#idOf(model, 'load_training_state'), path }
    await this.#session.call('load_training_state', params, options)
    return model
  }

  // --- artifacts -------------------------------------------------------------------------------

  /**
   * Loads an artifact out of a store into the model. Every byte is verified by the root hash first;
   * the artifact's model schema must be the config's, where it names one. In this process the bytes are
   * read and verified on another thread, into memory that Python views and that is freed afterwards; a
   * workload with path hooks alone gets a temporary file.
   */
  async loadModelArtifact(
    model: ModelHandle,
    descriptor: ArtifactDescriptor,
    store: FsArtifactStore,
    options?: CallOptions,
  ): Promise<ModelHandle> {
    const own = this.config.model_schema_hash
    if (own !== undefined && descriptor.model_schema_hash !== own) {
      throw new RevisionMismatchError('model_schema_hash', descriptor.model_schema_hash, own)
    }
    await this.#artifacts.load(model, descriptor, store, options)
    return model
  }

  /**
   * Writes the model as an artifact into a store and returns its descriptor. In this process Python fills
   * memory that another thread then cuts into chunks and frees; a workload with path hooks alone writes a
   * temporary file.
   */
  async materializeModelArtifact(
    model: ModelHandle,
    artifact: { kind: ArtifactKind; head_id: HeadId | null; base_head_id?: HeadId | null },
    store: FsArtifactStore,
    options?: CallOptions,
  ): Promise<ArtifactDescriptor> {
    const config = { ...WORKLOAD_CONFIG_DEFAULTS, ...this.config }
    const spec = {
      ...artifact,
      precision: config.artifact_precision,
      model_schema_hash: this.modelSchemaHash,
      record_format: config.artifact_record_format,
    }
    const chunking = config.artifact_chunking
    return this.#artifacts.materialize(model, { spec, chunking }, store, options)
  }

  /** Loads an artifact file into the model, through the workload's path hook, else its bytes hook. */
  async loadModelArtifactFile(
    model: ModelHandle,
    path: string,
    options?: CallOptions,
  ): Promise<ModelHandle> {
    await this.#artifacts.loadFile(model, path, options)
    return model
  }

  /** Writes the model to a file, through the workload's path hook, else its bytes hook. */
  async materializeModelArtifactFile(
    model: ModelHandle,
    path: string,
    options?: CallOptions,
  ): Promise<void> {
    await this.#artifacts.materializeFile(model, path, options)
  }

  #handle(modelId: string): ModelHandle {
    return new ModelHandle(this.#session, modelId, this.#artifacts.bytes)
  }

  #idOf(model: ModelHandle, method: string): { model_id: string } {
    return { model_id: model.idFor(this.#session, method) }
  }

  #required<K extends 'supported_workload' | 'model_schema_hash'>(
    field: K,
  ): NonNullable<TorchWorkloadConfig[K]> {
    return this.config[field] ?? this.#missing(field)
  }

  #missing(field: string): never {
    throw new ConfigError(`Cannot use this part of ${this.workloadName}`, [
      { path: field, message: `the workload config has no ${field}; set it in TorchProject.open` },
    ])
  }
}

function startRuntime(
  options: { readonly python: string | undefined; readonly env: TorchRuntimeConfig['env'] },
  isolation: TorchProjectOptions['isolation'],
): Promise<PythonRuntime> {
  return isolation === 'process' ? SubprocessRuntime.start(options) : EmbeddedRuntime.start(options)
}

function refuseIsolationOfShared({
  runtime,
  isolation,
}: Pick<TorchProjectOptions, 'runtime' | 'isolation'>): void {
  if (runtime === undefined || isolation === undefined) return
  const message = '`isolation` cannot be combined with `runtime`, which decides it; pass only one'
  throw new ConfigError('Cannot open the project', [{ path: 'isolation', message }])
}

/** What the host writes into a window's stats (spec project#operations, repaired: defects#counts-are-estimates). */
function hostCounts(
  metrics: Metrics,
  batches: number,
  cached: readonly CachedMicroShard[],
): Metrics {
  const counts: Record<string, bigint> = { batch_count: BigInt(batches) }
  if (cached.length > 0) counts.microshard_count = BigInt(cached.length)
  const { examples_processed, tokens_processed } = processedCounts(metrics, cached)
  if (examples_processed > 0) counts.examples_processed = BigInt(examples_processed)
  if (tokens_processed > 0) counts.tokens_processed = BigInt(tokens_processed)
  return counts
}
