/**
 * Keeps chunks out of the hands of garbage collectors, of other processes too, until their manifest is written.
 *
 * A collector spares chunks younger than a grace period. The guard makes the chunks of a running operation young
 * again well within it. There is no lock, so a crashed process leaves none behind, and none can be forgotten. If
 * the process could not run for longer than the grace period (the machine slept), `finish` finds out whether a
 * collector took a chunk.
 */

import type { ChunkId } from '../schema/index.js'
import { touch } from './chunk-files.js'
import { UnknownChunkError } from './errors.js'
import type { StoreLayout } from './layout.js'

/** Longest delay that Node's timers take, in milliseconds. */
const MAX_TIMER_MS = 2 ** 31 - 1

export class ChunkGuard {
  readonly #layout: StoreLayout
  readonly #periodMs: number
  readonly #ids = new Set<ChunkId>()
  readonly #timer: NodeJS.Timeout | undefined
  #renewedAt = Date.now()
  #renewal: Promise<void> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined

  /** @param graceMs the collectors' grace period, in milliseconds */
  constructor(layout: StoreLayout, graceMs: number) {
    this.#layout = layout
    this.#periodMs = graceMs / 4
    // Without a grace period, nothing can be protected.
    if (graceMs === 0) return
    this.#timer = setInterval(() => this.#renewLater(), Math.min(this.#periodMs, MAX_TIMER_MS))
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
    if (Date.now() - this.#renewedAt >= this.#periodMs) this.#renewLater()
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
    const startedAt = Date.now()
    for (const id of this.#ids) {
      if (!(await touch(this.#layout.chunk(id)))) throw new UnknownChunkError(id)
    }
    this.#renewedAt = startedAt
  }
}
