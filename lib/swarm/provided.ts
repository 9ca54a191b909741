/** The artifacts that a peer offers to others, read from its store when they are asked for; nothing else is served. */

import { Slots } from '../core/concurrency.js'
import type { ArtifactDescriptor, ChunkDescriptor } from '../schema/index.js'
import { CheckpointError, type FsArtifactStore } from '../store/index.js'
import { MAX_CHUNKS_SERVED_AT_ONCE } from './limits.js'

/** An artifact on offer. */
interface Offer {
  readonly descriptor: ArtifactDescriptor
  readonly chunks: ReadonlyMap<string, ChunkDescriptor>
  /** How often it was provided and not withdrawn. */
  count: number
}

export class ProvidedArtifacts {
  readonly #store: FsArtifactStore
  readonly #offers = new Map<string, Offer>()
  readonly #slots = new Slots(MAX_CHUNKS_SERVED_AT_ONCE)
  /** Bytes of the chunks that others were given. */
  servedBytes = 0

  constructor(store: FsArtifactStore) {
    this.#store = store
  }

  /** Offers an artifact until the returned function is called as often as this. */
  provide(descriptor: ArtifactDescriptor): () => void {
    const id = descriptor.artifact_id
    const offer = this.#offers.get(id) ?? {
      descriptor,
      chunks: new Map(descriptor.chunks.map((chunk) => [chunk.chunk_id, chunk])),
      count: 0,
    }
    offer.count += 1
    this.#offers.set(id, offer)
    let isWithdrawn = false
    return () => {
      if (isWithdrawn) return
      isWithdrawn = true
      offer.count -= 1
      if (offer.count === 0) this.#offers.delete(id)
    }
  }

  /** The descriptor of an artifact on offer. */
  descriptor(artifactId: string): ArtifactDescriptor | null {
    return this.#offers.get(artifactId)?.descriptor ?? null
  }

  /** A chunk of an artifact on offer; null when there is none, or the store has lost it. */
  async chunk(
    artifactId: string,
    chunkId: string,
  ): Promise<{ readonly chunk: ChunkDescriptor; readonly bytes: Uint8Array } | null> {
    const chunk = this.#offers.get(artifactId)?.chunks.get(chunkId)
    if (chunk === undefined) return null
    try {
      const bytes = await this.#slots.run(() => this.#store.loadChunkBytes(chunk))
      this.servedBytes += bytes.byteLength
      return { chunk, bytes }
    } catch (error) {
      if (error instanceof CheckpointError) return null
      throw error
    }
  }
}
