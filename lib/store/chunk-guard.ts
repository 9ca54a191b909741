/**
 * Keeps the chunks of one operation out of the hands of garbage collectors, of other processes too, until their manifest is
 * written: it claims them. Should the process not run for longer than a claim lives without being renewed (the machine
 * slept), `finish` finds out whether a collector took a chunk.
 */

import { basename } from 'node:path'

import type { ChunkDescriptor, ChunkId } from '../schema/index.js'
import { mapLimited } from '../core/concurrency.js'
import { Claim } from './claims.js'
import { MAX_CHUNKS_IN_FLIGHT } from './constants.js'
import { UnknownChunkError } from './errors.js'
import { fileSize } from './files.js'
import { onceGivenBack, WRITER_PATIENCE_MS } from './retry-missing.js'
import type { StoreLayout } from './store-paths.js'

export class ChunkGuard {
  readonly #layout: StoreLayout
  readonly #claim: Claim
  readonly #ids = new Set<ChunkId>()

  constructor(layout: StoreLayout) {
    this.#layout = layout
    this.#claim = new Claim(layout.claimsFolder)
  }

  /** Asks for free space, in bytes. */
  async reserve(bytes: number): Promise<void> {
    await this.#claim.reserve(bytes)
  }

  /** Claims a chunk before it is looked for; false when this operation has claimed it already. */
  async add({ chunk_id, length_bytes }: ChunkDescriptor): Promise<boolean> {
    if (this.#ids.has(chunk_id)) return false
    this.#ids.add(chunk_id)
    await this.#claim.add(basename(this.#layout.chunk(chunk_id)), length_bytes)
    return true
  }

  /**
   * Makes sure that every chunk is there, and claimed. Call it right before the manifest is written.
   *
   * @throws UnknownChunkError when a chunk is gone
   */
  async finish(): Promise<void> {
    if (this.#ids.size === 0) return
    await this.#claim.renew()
    await mapLimited(this.#ids, MAX_CHUNKS_IN_FLIGHT, async (id) => {
      const size = await onceGivenBack(WRITER_PATIENCE_MS, () => fileSize(this.#layout.chunk(id)))
      if (size === undefined) throw new UnknownChunkError(id)
    })
  }

  /** Lets go of the chunks. Never rejects. */
  async release(): Promise<void> {
    await this.#claim.release()
  }
}
