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
import { checkChunk, checkRoot } from './chunk-stream.js'
import { MAX_READS_IN_FLIGHT } from './constants.js'
import { checkArtifactDescriptorAsync, checkChunkDescriptor } from './descriptor.js'
import { ArtifactTooLongError } from './errors.js'
import { withIo } from './files.js'
import { contentIdOfChunk, ContentHash } from './hashing.js'
import { InFlight, inOrder } from '../core/concurrency.js'
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
    await checkArtifactDescriptorAsync(descriptor)
    const { artifact_id, bytes_len, chunks } = descriptor
    if (bytes_len > constants.MAX_LENGTH) {
      throw new ArtifactTooLongError(artifact_id, bytes_len, constants.MAX_LENGTH)
    }
    return withIo(`load artifact ${artifact_id}`, async () => {
      await this.requireChunks(descriptor, options)
      const bytes = new Uint8Array(bytes_len)
      const rootHash = new ContentHash()
      const placeOf = ({ offset_bytes, length_bytes }: ChunkDescriptor) =>
        bytes.subarray(offset_bytes, offset_bytes + length_bytes)
      const read = async (chunk: ChunkDescriptor) => {
        const target = placeOf(chunk)
        await this.#chunks.readUnverified(chunk, target, options)
        return target
      }
      for await (const chunk of inOrder(chunks, MAX_READS_IN_FLIGHT, read)) {
        await rootHash.update(chunk, options.signal)
      }
      const found = rootHash.contentId()
      if (found !== descriptor.root_hash) {
        // Which chunk is wrong is worth the second hash only now.
        for (const chunk of chunks) {
          const target = placeOf(chunk)
          checkChunk(chunk, target, await contentIdOfChunk(target, options.signal))
        }
      }
      checkRoot(descriptor, found)
      return bytes
    })
  }

  /** Into a file, which appears, or is replaced, once everything is verified. */
  async file(
    descriptor: ArtifactDescriptor,
    path: string,
    options: OperationOptions,
  ): Promise<void> {
    await checkArtifactDescriptorAsync(descriptor)
    const { signal } = options
    const action = `write artifact ${descriptor.artifact_id} to ${JSON.stringify(path)}`
    await withIo(action, async () => {
      await this.requireChunks(descriptor, options)
      await makeFolder(dirname(path), this.#durability)
      await writeStreamAtomic(path, this.#wholeBytes(descriptor, options), {
        sync: this.#durability,
        ...(signal && { signal }),
      })
    })
  }

  /** Throws unless every chunk is there in the right length. */
  async requireChunks({ chunks }: ArtifactDescriptor, { signal }: OperationOptions): Promise<void> {
    const inFlight = new InFlight(MAX_READS_IN_FLIGHT)
    try {
      for (const chunk of chunks) {
        throwIfAborted(signal, 'look for the chunks of an artifact')
        await inFlight.room()
        inFlight.start(() => this.#chunks.requireSize(chunk))
      }
    } finally {
      await inFlight.settle()
    }
    await inFlight.finish()
  }

  /** Throws unless every byte is right, and every chunk by its own hash. */
  async verify(descriptor: ArtifactDescriptor, options: OperationOptions): Promise<void> {
    const rootHash = new ContentHash()
    const read = this.#chunks.readInto.bind(this.#chunks)
    for await (const bytes of this.#inBuffers(descriptor, read, options)) {
      await rootHash.update(bytes, options.signal)
    }
    checkRoot(descriptor, rootHash.contentId())
  }

  /** The bytes in order, in a few buffers in turn; throws after the last one when they are not the artifact's. */
  async *#wholeBytes(
    descriptor: ArtifactDescriptor,
    options: OperationOptions,
  ): AsyncGenerator<Uint8Array> {
    const rootHash = new ContentHash()
    const read = this.#chunks.readUnverified.bind(this.#chunks)
    for await (const bytes of this.#inBuffers(descriptor, read, options)) {
      await rootHash.update(bytes, options.signal)
      yield bytes
    }
    const found = rootHash.contentId()
    if (found !== descriptor.root_hash) await this.verify(descriptor, options)
    checkRoot(descriptor, found)
  }

  async *#inBuffers(
    descriptor: ArtifactDescriptor,
    readChunk: ChunkFiles['readInto'],
    options: OperationOptions,
  ): AsyncGenerator<Uint8Array> {
    const { longest } = cutsOf(descriptor)
    // Half of what a writer takes: a pass of the artifact often follows another one's.
    const count = Math.ceil(chunksInMemory(longest) / 2)
    const buffers: Uint8Array[] = []
    const read = async (chunk: ChunkDescriptor, index: number) => {
      const buffer = (buffers[index % count] ??= Buffer.allocUnsafeSlow(longest))
      const bytes = buffer.subarray(0, chunk.length_bytes)
      await readChunk(chunk, bytes, options)
      return bytes
    }
    try {
      yield* inOrder(descriptor.chunks, count, read)
    } finally {
      for (const { buffer } of buffers) releaseMemory(buffer as ArrayBuffer)
    }
  }
}
