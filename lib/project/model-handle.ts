import { HandleReleasedError, ValueError } from '../errors.js'
import type { WorkloadSession } from '../runtime/python-runtime.js'

interface Dropped {
  readonly session: WorkloadSession
  readonly modelId: string
}

/** The net under handles that nobody released: it posts the id and never waits. */
const dropped = new FinalizationRegistry<Dropped>(({ session, modelId }) =>
  session.releaseModel(modelId),
)

/**
 * A model that lives in Python (spec section 2.7). `await handle.release()`, or `await using`, frees
 * it; a handle that is garbage-collected frees it some time later.
 */
export class ModelHandle implements AsyncDisposable {
  /** `m1`, `m2`, … in the order in which the workload made its models. */
  readonly modelId: string
  readonly #session: WorkloadSession
  #released = false

  /** For {@link TorchProject}; a handle is not made by hand. */
  constructor(session: WorkloadSession, modelId: string) {
    this.#session = session
    this.modelId = modelId
    dropped.register(this, { session, modelId }, this)
  }

  get released(): boolean {
    return this.#released
  }

  /** Frees the model in Python. Harmless twice, and after the runtime is closed. */
  async release(): Promise<void> {
    if (this.#released) return
    this.#released = true
    dropped.unregister(this)
    if (this.#session.closed) return
    await this.#session.call('release_model', { model_id: this.modelId })
  }

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
