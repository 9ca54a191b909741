import { HandleReleasedError, ValueError } from '../errors.js'
import type { WorkloadSession } from '../runtime/python-runtime.js'

/** Assumed size of a model before its size is known, in bytes. */
export const ASSUMED_MODEL_BYTES = 4 << 20

/** Most that one model counts for in V8's accounting, in bytes: this much starts a collection. */
export const MAX_DECLARED_BYTES = 64 << 20

interface Held {
  readonly session: WorkloadSession
  readonly modelId: string
  /** What V8 was told, in bytes. */
  declaredBytes: number
}

/** Fallback for handles that were never released: posts the id and never waits. */
const dropped = new FinalizationRegistry<Held>((model) => {
  declare(model, 0)
  model.session.releaseModel(model.modelId)
})

/** A handle is a few bytes to V8, which would let gigabytes of models pile up before it collects one. */
function declare(model: Held, bytes: number): void {
  const declaredBytes = Math.min(bytes, MAX_DECLARED_BYTES)
  model.session.adjustExternalMemory?.(declaredBytes - model.declaredBytes)
  model.declaredBytes = declaredBytes
}

/**
 * A model that lives in Python (spec project#model-handles). `await handle.release()`, or `await using`, frees
 * it; a handle that is garbage-collected frees it some time later.
 */
export class ModelHandle implements AsyncDisposable {
  /** `m1`, `m2`, … in the order in which the workload made its models. */
  readonly modelId: string
  readonly #session: WorkloadSession
  readonly #held: Held
  #released = false

  /** For {@link TorchProject}; a handle is not made by hand. `bytes` is the model's size, as far as it is known. */
  constructor(session: WorkloadSession, modelId: string, bytes = ASSUMED_MODEL_BYTES) {
    this.#session = session
    this.modelId = modelId
    this.#held = { session, modelId, declaredBytes: 0 }
    dropped.register(this, this.#held, this)
    declare(this.#held, bytes)
  }

  get released(): boolean {
    return this.#released
  }

  /** Frees the model in Python. Idempotent; does nothing after the runtime is closed. */
  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    dropped.unregister(this)
    declare(this.#held, 0)
    if (this.#session.closed) return
    await this.#session.call('release_model', { model_id: this.modelId })
  }

  /** For `ModelArtifacts`: the model's size in bytes, now that it is known. */
  resize(bytes: number): void {
    if (!this.#released) declare(this.#held, bytes)
  }

  /** `release()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  /**
   * The id to name in a call of `session`. Throws {@link HandleReleasedError} after the release,
   * {@link ValueError} for a handle of another project.
   */
  idFor(session: WorkloadSession, method: string): string {
    if (this.#released) {
      throw new HandleReleasedError(`Cannot call ${method}: model ${this.modelId} is released`)
    }
    if (this.#session !== session) {
      throw new ValueError(
        `Cannot call ${method}: model ${this.modelId} belongs to another project`,
        'model',
      )
    }
    return this.modelId
  }
}
