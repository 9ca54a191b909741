/** Models in and out as artifacts: by memory that Python views or fills, or by files (spec project#operations). */

import { constants } from 'node:buffer'
import { stat } from 'node:fs/promises'

import { LentBuffer } from '../runtime/lent-buffer.js'
import type { CallOptions, WorkloadSession } from '../runtime/python-runtime.js'
import type { ArtifactDescriptor, ChunkingScheme } from '../schema/index.js'
import { freeMemory } from '../store/artifact-operations.js'
import type { ArtifactBuildSpec, FsArtifactStore } from '../store/index.js'
import { withArtifactFile } from './artifact-files.js'
import type { ModelHandle } from './model-handle.js'
import { ask, type AnswerOf } from './workload-methods.js'

/** The artifacts of one workload's models. */
export class ModelArtifacts {
  readonly #session: WorkloadSession
  readonly #maxMemoryBytes: number
  #ways: Promise<AnswerOf<'artifact_ways'>> | undefined
  #bytes: number | undefined

  /** @param maxMemoryBytes longest artifact that goes by memory: Node.js 20 has no typed array beyond 4 GiB */
  constructor(session: WorkloadSession, maxMemoryBytes: number = constants.MAX_LENGTH) {
    this.#session = session
    this.#maxMemoryBytes = maxMemoryBytes
  }

  /** Size of the last artifact, in bytes: the models of a workload are about of one size. */
  get bytes(): number | undefined {
    return this.#bytes
  }

  async load(
    model: ModelHandle,
    descriptor: ArtifactDescriptor,
    store: FsArtifactStore,
    options?: CallOptions,
  ): Promise<void> {
    if (descriptor.bytes_len > this.#maxMemoryBytes || !(await this.#inMemory('load'))) {
      return withArtifactFile(async (path) => {
        await store.materializeArtifactFile(descriptor, path, options)
        await this.loadFile(model, path, options)
      })
    }
    const { buffer, byteLength } = await store.materializeArtifactBytes(descriptor, options)
    const artifact = LentBuffer.transfer(buffer)
    try {
      const params = { ...this.#idOf(model, 'load_model_artifact'), artifact }
      await this.#session.call('load_model_memory', params, options)
      this.#learnSize(model, byteLength)
    } finally {
      // Not what Python has kept: that stays on loan.
      if (!artifact.onLoan) freeMemory(artifact.take())
    }
  }

  async materialize(
    model: ModelHandle,
    artifact: { readonly spec: ArtifactBuildSpec; readonly chunking: ChunkingScheme },
    store: FsArtifactStore,
    options?: CallOptions,
  ): Promise<ArtifactDescriptor> {
    const { spec, chunking } = artifact
    const length = (await this.#inMemory('materialize'))
      ? await this.#plan(model, options)
      : Infinity
    if (length > this.#maxMemoryBytes) {
      return withArtifactFile(async (path) => {
        await this.materializeFile(model, path, options)
        return store.storeArtifactFile(spec, path, chunking, options)
      })
    }
    const bytes = new Uint8Array((await this.#fill(model, length, options)).take())
    return store.storeArtifactBytes(spec, bytes, chunking, { ...options, transfer: true })
  }

  async loadFile(model: ModelHandle, path: string, options?: CallOptions): Promise<void> {
    await this.#callWithFile('load_model_artifact', model, path, options)
  }

  async materializeFile(model: ModelHandle, path: string, options?: CallOptions): Promise<void> {
    await this.#callWithFile('materialize_model_artifact', model, path, options)
  }

  async #callWithFile(
    method: 'load_model_artifact' | 'materialize_model_artifact',
    model: ModelHandle,
    path: string,
    options?: CallOptions,
  ): Promise<void> {
    const params = { ...this.#idOf(model, method), artifact_path: path }
    await this.#session.call(method, params, options)
    if (this.#session.adjustExternalMemory === undefined) return
    // The file may be gone again; the size is a hint, and not worth an error.
    const file = await stat(path).catch(() => undefined)
    if (file) this.#learnSize(model, file.size)
  }

  /** How many bytes the model's artifact will have. Python keeps the plan until it is filled, or a file is written. */
  async #plan(model: ModelHandle, options?: CallOptions): Promise<number> {
    const params = this.#idOf(model, 'materialize_model_artifact')
    return (await ask(this.#session, 'plan_model_memory', params, options)).total_bytes
  }

  /** The model as it was planned, in memory that Python fills in place. */
  async #fill(model: ModelHandle, length: number, options?: CallOptions): Promise<LentBuffer> {
    const artifact = LentBuffer.allocate(length)
    const params = { ...this.#idOf(model, 'materialize_model_artifact'), artifact }
    await this.#session.call('fill_model_memory', params, options)
    this.#learnSize(model, length)
    return artifact
  }

  /** Whether artifacts can go by lent memory: not to another process, nor to path hooks alone. */
  async #inMemory(direction: 'load' | 'materialize'): Promise<boolean> {
    if (this.#session.lendsMemory !== true) return false
    const way = (await (this.#ways ??= ask(this.#session, 'artifact_ways', null)))[direction]
    return way === 'tensors' || way === 'bytes'
  }

  #idOf(model: ModelHandle, method: string): { model_id: string } {
    return { model_id: model.idFor(this.#session, method) }
  }

  #learnSize(model: ModelHandle, bytes: number): void {
    this.#bytes = bytes
    model.resize(bytes)
  }
}
