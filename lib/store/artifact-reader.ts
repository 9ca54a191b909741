/** Puts artifacts together from their chunks, verifying every byte (spec store#operations). */

import { constants } from 'node:buffer'
import { dirname } from 'node:path'

import { writeStreamAtomic } from '../files/atomic-write.js'
import { makeFolder } from '../files/make-folder.js'
import type { ArtifactDescriptor, ChunkDescriptor } from '../schema/index.js'
import { throwIfAborted, type OperationOptions } from '../core/abort.js'
import { chunksInMemory } from './chunk-buffers.js'
import { cutsOf } from './chunk-feed.js'
import type { ChunkFiles, Durability } from './chunk-files.js'
import { checkRoot } from './chunk-stream.js'
import { MAX_READS_IN_FLIGHT } from './constants.js'
import { checkArtifactDescriptor, checkChunkDescriptor } from './descriptor.js'
import { ArtifactLengthMismatchError } from './errors.js'
import { withIo } from './files.js'
import { ContentHash } from './hashing.js'
import { inOrder } from '../core/concurrency.js'
import { releaseMemory } from '../threads/release-memory.js'

export class ArtifactReader {
  readonly #chunks: ChunkFiles
  readonly #durability: Durability

  constructor(chunks: ChunkFiles, durability: Durability) {
    this.#chunks = chunks
    this.#durability = durability
  }

  async chunkBytes(
    chunk: ChunkDescriptor,
    options: OperationOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    checkChunkDescriptor(chunk)
    return withIo(`load chunk ${chunk.chunk_id}`, async () => {
      await this.#chunks.requireSize(chunk)
      const bytes = new Uint8Array(chunk.length_bytes)
      await this.#chunks.readInto(chunk, bytes, options)
      return bytes
    })
  }

  /** Into a new ArrayBuffer, allocated once every chunk is known to be there. */
  async bytes(
    descriptor: ArtifactDescriptor,
    options: OperationOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    checkArtifactDescriptor(descriptor)
    const { artifact_id, bytes_len, chunks } = descriptor
    if (bytes_len > constants.MAX_LENGTH) {
      throw new ArtifactLengthMismatchError(artifact_id, constants.MAX_LENGTH, bytes_len)
    }
    return withIo(`load artifact ${artifact_id}`, async () => {
      await this.requireChunks(descriptor, options)
      const bytes = new Uint8Array(bytes_len)
      const rootHash = new ContentHash()
      const read = async (chunk: ChunkDescriptor) => {
        const { offset_bytes, length_bytes } = chunk
        const target = bytes.subarray(offset_bytes, offset_bytes + length_bytes)
        await this.#chunks.readInto(chunk, target, options)
        return target
      }
      for await (const chunk of inOrder(chunks, MAX_READS_IN_FLIGHT, read)) {
        await rootHash.update(chunk, options.signal)
      }
      checkRoot(descriptor, rootHash.contentId())
      return bytes
    })
  }

  /** Into a file, which appears, or is replaced, once everything is verified. */
  async file(
    descriptor: ArtifactDescriptor,
    path: string,
    options: OperationOptions,
  ): Promise<void> {
    checkArtifactDescriptor(descriptor)
    const { signal } = options
    const action = `write artifact ${descriptor.artifact_id} to ${JSON.stringify(path)}`
    await withIo(action, async () => {
      await this.requireChunks(descriptor, options)
      await makeFolder(dirname(path), this.#durability)
      await writeStreamAtomic(path, this.#verifiedChunks(descriptor, options), {
        sync: this.#durability,
        ...(signal && { signal }),
      })
    })
  }

  /** Throws unless every chunk is there in the right length. */
  async requireChunks({ chunks }: ArtifactDescriptor, { signal }: OperationOptions): Promise<void> {
    for (const chunk of chunks) {
      throwIfAborted(signal, 'look for the chunks of an artifact')
      await this.#chunks.requireSize(chunk)
    }
  }

  /** Throws unless every byte is right. */
  async verify(descriptor: ArtifactDescriptor, options: OperationOptions): Promise<void> {
    const chunks = this.#verifiedChunks(descriptor, options)
    while ((await chunks.next()).done !== true) continue
  }

  /** The chunks in order, in a few buffers in turn; throws after the last one when the root hash is wrong. */
  async *#verifiedChunks(
    descriptor: ArtifactDescriptor,
    options: OperationOptions,
  ): AsyncGenerator<Uint8Array> {
    const { longest } = cutsOf(descriptor)
    // Half of what a writer takes: a pass of the artifact often follows another one's.
    const count = Math.ceil(chunksInMemory(longest) / 2)
    const buffers: Uint8Array[] = []
    const rootHash = new ContentHash()
    const read = async (chunk: ChunkDescriptor, index: number) => {
      const buffer = (buffers[index % count] ??= Buffer.allocUnsafeSlow(longest))
      const bytes = buffer.subarray(0, chunk.length_bytes)
      await this.#chunks.readInto(chunk, bytes, options)
      return bytes
    }
    try {
      for await (const bytes of inOrder(descriptor.chunks, count, read)) {
        await rootHash.update(bytes, options.signal)
        yield bytes
      }
    } finally {
      for (const { buffer } of buffers) releaseMemory(buffer as ArrayBuffer)
    }
    checkRoot(descriptor, rootHash.contentId())
  }
}
