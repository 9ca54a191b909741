import { stat } from 'node:fs/promises'
import { ProtocolError, ValueError } from '../errors.js'
import type { CallOptions, WorkloadSession } from '../runtime/python-runtime.js'
import { calledAs } from '../runtime/called-as.js'
import { LentBuffer } from '../runtime/lent-buffer.js'
import { PyFloat, type PyInput, type PyValue } from '../runtime/values.js'
import {
  CapabilityEstimate,
  EvalSplit,
  MergePolicy,
  Metrics,
  names,
  optional,
  PatchOutcome,
  PythonBatchRef,
  record,
  RuntimePatch,
  text,
  TrainerCanonicalReconcileStrategy,
  u64,
  type ArtifactId,
  type Codec,
  type HeadId,
  type MicroShardId,
  type PeerId,
} from '../schema/index.js'
import { ModelHandle } from './model-handle.js'
import { pythonInput } from './python-input.js'

const Hello = record('hello', { workload_name: text })
const CapabilityProbe = record('capability_probe', {
  runtime_device: text,
  capability: CapabilityEstimate,
})
export type CapabilityProbe = ReturnType<(typeof CapabilityProbe)['fromValue']>
const Created = record('model', { model_id: text })
const MaybeCreated = record('merged model', { model_id: optional(text) })
const Measured = record('metrics', { metrics: Metrics })
const Planned = record('artifact plan', { total_bytes: u64 })
const way = optional(names('artifact way', 'tensors', 'path', 'bytes'))
const ArtifactWays = record('artifact ways', { load: way, materialize: way })
export type ArtifactWays = ReturnType<(typeof ArtifactWays)['fromValue']>

/** A batch of shards that never touch a disk: whole safetensors files in memory, lent for the window. */
export interface MemoryBatch {
  readonly kind: 'memory_microshard_group'
  readonly shards: readonly LentBuffer[]
  readonly microshard_ids: readonly MicroShardId[]
  readonly ordinals: readonly number[]
  /** Size of all shards together, in bytes. */
  readonly bytes_len: number
}

/**
 * What a window may be trained on: the batches of a pipeline, memory, or a payload alone, which the hook sees as a
 * `micro_epoch` of no lease.
 */
export type TrainBatch =
  PythonBatchRef | MemoryBatch | { readonly kind?: undefined; readonly payload: PyInput }

function batchInput(batch: TrainBatch): PyInput {
  if (batch.kind === undefined) {
    return {
      kind: 'micro_epoch',
      lease_id: '',
      microshard_ids: [],
      ordinals: [],
      bytes_len: 0,
      pipeline_kind: 'custom',
      payload: batch.payload,
    }
  }
  return batch.kind === 'memory_microshard_group'
    ? { ...batch }
    : pythonInput(PythonBatchRef, batch)
}

/** A peer's model that may be merged (spec worker-protocol#methods, `merge_candidate_models`). */
export interface ModelCandidate {
  readonly peer_id: PeerId
  readonly head_id: HeadId
  readonly artifact_id: ArtifactId
  readonly model: ModelHandle
  readonly sample_weight: number
  readonly quality_weight: number
}

function refuseBadWeights(candidate: ModelCandidate): void {
  for (const field of ['sample_weight', 'quality_weight'] as const) {
    const weight = candidate[field]
    if (Number.isFinite(weight) && weight >= 0) continue
    throw new ValueError(
      `Cannot merge the model of ${candidate.peer_id}: its ${field} is ${weight}, not a finite number from 0 on`,
      field,
    )
  }
}

/**
 * The methods of the workload protocol (spec worker-protocol#methods) with typed parameters and checked answers.
 * Knows nothing of data, stores or peers.
 */
export class WorkloadCalls {
  #ways: Promise<ArtifactWays> | undefined
  /** Of the last artifact, in bytes: a workload's models are about of one size. */
  #modelBytes: number | undefined

  constructor(readonly session: WorkloadSession) {}

  async hello(): Promise<string> {
    return this.#ask(Hello, 'hello', null).then((answer) => answer.workload_name)
  }

  async capabilityProbe(options?: CallOptions): Promise<CapabilityProbe> {
    return this.#ask(CapabilityProbe, 'capability_probe', null, options)
  }

  async initModel(device: string, options?: CallOptions): Promise<ModelHandle> {
    const { model_id } = await this.#ask(Created, 'init_model', { device }, options)
    return new ModelHandle(this.session, model_id, this.#modelBytes)
  }

  async trainWindow(
    model: ModelHandle,
    batches: readonly TrainBatch[],
    options?: CallOptions,
  ): Promise<Metrics> {
    const params = {
      ...this.#model(model, 'train_window'),
      batches: batches.map(batchInput),
    }
    return (await this.#ask(Measured, 'train_window', params, options)).metrics
  }

  async evaluate(model: ModelHandle, split: EvalSplit, options?: CallOptions): Promise<Metrics> {
    const params = { ...this.#model(model, 'evaluate'), split: pythonInput(EvalSplit, split) }
    return (await this.#ask(Measured, 'evaluate', params, options)).metrics
  }

  async applyPatch(patch: RuntimePatch, options?: CallOptions): Promise<PatchOutcome> {
    return this.#ask(PatchOutcome, 'apply_patch', pythonInput(RuntimePatch, patch), options)
  }

  async loadModelArtifact(model: ModelHandle, path: string, options?: CallOptions): Promise<void> {
    const params = { ...this.#model(model, 'load_model_artifact'), artifact_path: path }
    await this.session.call('load_model_artifact', params, options)
    await this.#learnSizeOfFile(model, path)
  }

  async materializeModelArtifact(
    model: ModelHandle,
    path: string,
    options?: CallOptions,
  ): Promise<void> {
    const params = { ...this.#model(model, 'materialize_model_artifact'), artifact_path: path }
    await this.session.call('materialize_model_artifact', params, options)
    await this.#learnSizeOfFile(model, path)
  }

  /** Lets the workload write what a peer keeps for itself to a file that is not there yet. */
  async saveTrainingState(model: ModelHandle, path: string, options?: CallOptions): Promise<void> {
    const params = { ...this.#model(model, 'save_training_state'), path }
    await this.session.call('save_training_state', params, options)
  }

  async loadTrainingState(model: ModelHandle, path: string, options?: CallOptions): Promise<void> {
    const params = { ...this.#model(model, 'load_training_state'), path }
    await this.session.call('load_training_state', params, options)
  }

  /** How the workload loads and gives artifacts; asked once, for sessions that lend memory. */
  async artifactWays(): Promise<ArtifactWays> {
    return (this.#ways ??= this.#ask(ArtifactWays, 'artifact_ways', null))
  }

  async loadModelMemory(
    model: ModelHandle,
    artifact: LentBuffer,
    options?: CallOptions,
  ): Promise<void> {
    const params = { ...this.#model(model, 'load_model_artifact'), artifact }
    const { byteLength } = artifact
    await this.session.call('load_model_memory', params, options)
    this.#learnSize(model, byteLength)
  }

  /** The model as an artifact, in memory that Python fills in place. */
  async materializeModelMemory(model: ModelHandle, options?: CallOptions): Promise<LentBuffer> {
    const plan = this.#model(model, 'materialize_model_artifact')
    const { total_bytes } = await this.#ask(Planned, 'plan_model_memory', plan, options)
    const artifact = LentBuffer.allocate(total_bytes)
    const params = { ...this.#model(model, 'materialize_model_artifact'), artifact }
    await this.session.call('fill_model_memory', params, options)
    this.#learnSize(model, total_bytes)
    return artifact
  }

  async mergeCandidateModels(
    base: ModelHandle,
    candidates: readonly ModelCandidate[],
    policy: MergePolicy,
    options?: CallOptions,
  ): Promise<ModelHandle | null> {
    const method = 'merge_candidate_models'
    for (const candidate of candidates) refuseBadWeights(candidate)
    const params = {
      base_model_id: this.#id(base, method),
      candidates: candidates.map(({ model, sample_weight, quality_weight, ...rest }) => ({
        ...rest,
        model_id: this.#id(model, method),
        sample_weight: new PyFloat(sample_weight),
        quality_weight: new PyFloat(quality_weight),
      })),
      policy: pythonInput(MergePolicy, policy),
    }
    const { model_id } = await this.#ask(MaybeCreated, method, params, options)
    if (model_id === null) return null
    return new ModelHandle(this.session, model_id, this.#modelBytes)
  }

  async applySingleRootEma(
    base: ModelHandle,
    merged: ModelHandle,
    policy: MergePolicy,
    options?: CallOptions,
  ): Promise<void> {
    const method = 'apply_single_root_ema'
    const params = {
      base_model_id: this.#id(base, method),
      merged_model_id: this.#id(merged, method),
      policy: pythonInput(MergePolicy, policy),
    }
    await this.session.call(method, params, options)
  }

  async reconcileCanonicalModel(
    local: ModelHandle,
    canonical: ModelHandle,
    strategy: TrainerCanonicalReconcileStrategy,
    options?: CallOptions,
  ): Promise<void> {
    const method = 'reconcile_canonical_model'
    const params = {
      local_model_id: this.#id(local, method),
      canonical_model_id: this.#id(canonical, method),
      strategy: pythonInput(TrainerCanonicalReconcileStrategy, strategy),
    }
    await this.session.call(method, params, options)
  }

  #id(model: ModelHandle, method: string): string {
    return model.idFor(this.session, method)
  }

  #model(model: ModelHandle, method: string): { model_id: string } {
    return { model_id: this.#id(model, method) }
  }

  #learnSize(model: ModelHandle, bytes: number): void {
    this.#modelBytes = bytes
    model.resize(bytes)
  }

  /** The file may be gone again; the size is a hint, and not worth an error. */
  async #learnSizeOfFile(model: ModelHandle, path: string): Promise<void> {
    if (this.session.adjustExternalMemory === undefined) return
    const file = await stat(path).catch(() => undefined)
    if (file) this.#learnSize(model, file.size)
  }

  /** Calls and decodes the answer, which a third-party worker may get wrong. */
  async #ask<T>(
    codec: Codec<T>,
    method: string,
    params: PyInput,
    options?: CallOptions,
  ): Promise<T> {
    const answer: PyValue = await this.session.call(method, params, options)
    try {
      return codec.fromValue(answer)
    } catch (cause) {
      throw new ProtocolError(
        `decode result for python rpc ${calledAs(method, params)}: ${String(cause)}`,
        { cause },
      )
    }
  }
}
