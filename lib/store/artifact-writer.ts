/** Stores artifacts: chunks first, manifest last (spec store#operations). */

import type { ArtifactDescriptor, ChunkDescriptor, ChunkingScheme } from '../schema/index.js'
import type { OperationOptions } from '../core/abort.js'
import { cutsOf, type ChunkFeed } from './chunk-feed.js'
import type { ChunkFiles, Durability } from './chunk-files.js'
import { ChunkGuard } from './chunk-guard.js'
import { checkChunk, checkRoot, hashChunks, type ChunkSink } from './chunk-stream.js'
import { checkChunkDescriptor, makeDescriptor, type ArtifactBuildSpec } from './descriptor.js'
import { makeFolders, withIo } from './files.js'
import { contentIdOfChunk } from './hashing.js'
import type { StoreLayout } from './store-paths.js'
import type { PinFolder } from './pin-folder.js'
import type { RecordFolder } from './record-folder.js'

/** How one artifact is stored. */
export interface StoreArtifactOptions extends OperationOptions {
  /** Pins the artifact before its manifest appears, so that no garbage collection comes between. Default false. */
  readonly pin?: boolean
  /**
   * How many bytes a stream will give, if known: the artifact is then refused before anything is written when there is no room
   * for it, and the room is reserved. Where the source is bytes, or a file, its length counts instead.
   */
  readonly expectedBytes?: number | undefined
}

/** What a writer works with. */
export interface ArtifactWriterParts {
  readonly layout: StoreLayout
  readonly durability: Durability
  readonly chunks: ChunkFiles
  readonly manifests: RecordFolder<ArtifactDescriptor>
  readonly pins: PinFolder
}

export class ArtifactWriter {
  readonly #parts: ArtifactWriterParts

  constructor(parts: ArtifactWriterParts) {
    this.#parts = parts
  }

  async storeChunk(
    chunk: ChunkDescriptor,
    bytes: Uint8Array,
    options: OperationOptions,
  ): Promise<void> {
    const { layout, durability, chunks } = this.#parts
    checkChunkDescriptor(chunk)
    checkChunk(chunk, bytes, await contentIdOfChunk(bytes, options.signal))
    await withIo(`store chunk ${chunk.chunk_id}`, async () => {
      await makeFolders(layout.folders, durability)
      await chunks.put(chunk.chunk_id, bytes, options)
      await chunks.syncNames()
    })
  }

  async store(
    spec: ArtifactBuildSpec,
    feed: ChunkFeed,
    chunking: ChunkingScheme,
    options: StoreArtifactOptions,
  ): Promise<ArtifactDescriptor> {
    return this.#guarded('store an artifact', options, async (put) => {
      return makeDescriptor(spec, await hashChunks(feed, chunking, put, options))
    })
  }

  /** Stores a feed that is cut as the descriptor says; its bytes were verified before. */
  async storePrebuilt(
    descriptor: ArtifactDescriptor,
    feed: ChunkFeed,
    options: StoreArtifactOptions,
  ): Promise<void> {
    await this.#guarded(`store artifact ${descriptor.artifact_id}`, options, async (put) => {
      const chunking = { chunk_size_bytes: cutsOf(descriptor).longest }
      const found = await hashChunks(feed, chunking, put, options)
      // The bytes may have changed since; their chunks then have other names and do no harm.
      checkRoot(descriptor, found.root_hash)
      return descriptor
    })
  }

  /** Stores chunks, which no garbage collection takes meanwhile, then the manifest that `run` returns. */
  async #guarded(
    action: string,
    { pin = false, expectedBytes, signal }: StoreArtifactOptions,
    run: (put: ChunkSink) => Promise<ArtifactDescriptor>,
  ): Promise<ArtifactDescriptor> {
    const { layout, durability, chunks, manifests, pins } = this.#parts
    const guard = new ChunkGuard(layout)
    const put: ChunkSink = async (chunk, bytes) => {
      if (await guard.add(chunk)) await chunks.put(chunk.chunk_id, bytes, { signal })
    }
    return withIo(`${action} in ${JSON.stringify(layout.root)}`, async () => {
      try {
        await makeFolders(layout.folders, durability)
        if (expectedBytes !== undefined) await guard.reserve(expectedBytes)
        const descriptor = await run(put)
        await chunks.syncNames()
        if (pin) await pins.add(layout.artifactPin(descriptor.artifact_id), descriptor.artifact_id)
        await guard.finish()
        await manifests.store(descriptor, { signal, replace: true })
        return descriptor
      } finally {
        await guard.release()
      }
    })
  }
}
