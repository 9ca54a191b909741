/**
 * Keeps chunks out of the hands of garbage collectors, of other processes too, until their manifest is written.
 *
 * A collector spares chunks younger than a grace period. The guard makes the chunks of a running operation young
 * again well within it. There is no lock, so a crashed process leaves none behind, and none can be forgotten. If
 * the process could not run for longer than the grace period (the machine slept), `finish` finds out whether a
 * collector took a chunk. All processes and the file system must have about the same clock.
 */

import type { ChunkId } from '../schema/index.js'
import { touch } from './chunk-files.js'
import { MAX_CHUNKS_IN_FLIGHT } from './constants.js'
import { UnknownChunkError } from './errors.js'
import { onceGivenBack, WRITER_PATIENCE_MS } from './retry-missing.js'
import { mapLimited } from '../core/concurrency.js'
import { MAX_TIMER_MS } from '../core/timers.js'
import type { StoreLayout } from './store-paths.js'

export class ChunkGuard {
  readonly #layout: StoreLayout
  readonly #ids = new Set<ChunkId>()
  readonly #timer: NodeJS.Timeout | undefined
  #renewal: Promise<void> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined

  /** @param graceMs the collectors' grace period, in milliseconds */
  constructor(layout: StoreLayout, graceMs: number) {
    this.#layout = layout
    // Without a grace period, nothing can be protected.
    if (graceMs === 0) return
    this.#timer = setInterval(() => this.#renewLater(), Math.min(graceMs / 4, MAX_TIMER_MS))
    this.#timer.unref()
  }

  has(id: ChunkId): boolean {
    return this.#ids.has(id)
  }

  add(id: ChunkId): void {
    this.#ids.add(id)
  }

  /**
   * Makes sure that every chunk is there and young. Call it right before the manifest is written.
   *
   * @throws UnknownChunkError when a chunk is gone
   */
  async finish(): Promise<void> {
    this.stop()
    await this.#renewal
    this.#renewLater()
    await this.#renewal
    if (this.#failure !== undefined) throw this.#failure.error
  }

  /** Lets go of the chunks. Harmless when repeated. */
  stop(): void {
    clearInterval(this.#timer)
  }

  #renewLater(): void {
    this.#renewal = this.#renewal
      .then(() => this.#renew())
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
  }

  async #renew(): Promise<void> {
    await mapLimited(this.#ids, MAX_CHUNKS_IN_FLIGHT, async (id) => {
      const path = this.#layout.chunk(id)
      const touched = async () => (await touch(path)) || undefined
      if (!(await onceGivenBack(WRITER_PATIENCE_MS, touched))) throw new UnknownChunkError(id)
    })
  }
}
