/** Cuts a stream of bytes into chunks and hashes them, in the memory of a few chunks (spec section 9.2). */

import type { ArtifactDescriptor, ChunkDescriptor, ChunkingScheme } from '../schema/index.js'
import { describe } from '../schema/describe.js'
import { untilAborted, type OperationOptions } from './abort.js'
import { checkChunkCount, chunkingScheme } from './chunking.js'
import { CHUNK_BUFFER_BYTES, HASH_SLICE_BYTES, MAX_WRITES_IN_FLIGHT } from './constants.js'
import { makeDescriptor, type ArtifactBuildSpec, type ArtifactContent } from './descriptor.js'
import { InvalidSourceError } from './errors.js'
import { ContentHash, hashInSlices } from './hashing.js'

/**
 * Bytes to store: all at once, or piece by piece as a Node `Readable`, a web stream or a generator gives them.
 * A piece must not change until the next one is asked for; bytes given at once, until the operation ends.
 */
export type ArtifactSource = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** Takes one chunk; the bytes are lent until the promise settles. */
export type ChunkSink = (chunk: ChunkDescriptor, bytes: Uint8Array) => Promise<void>

/**
 * The descriptor of bytes, without storing them.
 *
 * @throws InvalidChunkSizeError, InvalidSourceError, ConfigError for a bad spec, AbortError, what the source throws
 */
export async function buildArtifactDescriptor(
  spec: ArtifactBuildSpec,
  source: ArtifactSource,
  chunking: ChunkingScheme = chunkingScheme(),
  options: OperationOptions = {},
): Promise<ArtifactDescriptor> {
  // A bad spec shows before the source is read.
  makeDescriptor(spec)
  return makeDescriptor(spec, await cutIntoChunks(source, chunking, undefined, options))
}

/**
 * Reads a source to its end and hands every chunk to `sink`, several at a time. When anything fails, the chunks
 * under way are waited for first.
 */
export async function cutIntoChunks(
  source: ArtifactSource,
  chunking: ChunkingScheme,
  sink?: ChunkSink,
  { signal }: OperationOptions = {},
): Promise<ArtifactContent> {
  const size = chunkingScheme(chunking.chunk_size_bytes).chunk_size_bytes
  const buffers = new ChunkBuffers(size)
  const chunks: ChunkDescriptor[] = []
  const rootHash = new ContentHash()
  let total = 0
  let chunkHash = new ContentHash()
  let buffer: Uint8Array | undefined
  let filled = 0
  let hashed = 0

  const hashNew = async (filledBuffer: Uint8Array) => {
    await hashInSlices([chunkHash, rootHash], filledBuffer.subarray(hashed, filled), signal)
    hashed = filled
  }
  const finishChunk = async (filledBuffer: Uint8Array) => {
    await hashNew(filledBuffer)
    const hash: string = chunkHash.contentId()
    const chunk = {
      chunk_id: hash,
      offset_bytes: total - filled,
      length_bytes: filled,
      chunk_hash: hash,
    }
    chunks.push(chunk)
    checkChunkCount(chunks.length, chunking)
    buffers.lend(filledBuffer, filled, (bytes) => sink?.(chunk, bytes) ?? Promise.resolve())
    chunkHash = new ContentHash()
    buffer = undefined
    filled = 0
    hashed = 0
  }

  try {
    const pieces = source instanceof Uint8Array ? [source] : source
    for await (const piece of untilAborted<unknown>(pieces, signal, 'read an artifact')) {
      if (!(piece instanceof Uint8Array)) {
        throw new InvalidSourceError(
          `Cannot store ${describe(piece)} as bytes; give a stream of Uint8Array`,
        )
      }
      for (let at = 0; at < piece.byteLength;) {
        buffer ??= await buffers.take()
        const length = Math.min(piece.byteLength - at, size - filled, HASH_SLICE_BYTES)
        buffer.set(piece.subarray(at, at + length), filled)
        at += length
        filled += length
        total += length
        if (filled === size) await finishChunk(buffer)
        else if (filled - hashed >= HASH_SLICE_BYTES) await hashNew(buffer)
      }
    }
    if (buffer !== undefined) await finishChunk(buffer)
  } finally {
    await buffers.settle()
  }
  buffers.throwIfFailed()
  return { bytes_len: total, chunks, root_hash: rootHash.contentId() }
}

/** A few buffers of one chunk each: filled, lent to a sink, and used again. */
class ChunkBuffers {
  readonly #size: number
  readonly #free: Uint8Array[] = []
  readonly #lent = new Set<Promise<void>>()
  #allowed: number
  #failure: { readonly error: unknown } | undefined

  constructor(size: number) {
    this.#size = size
    this.#allowed = Math.min(
      Math.max(Math.floor(CHUNK_BUFFER_BYTES / size), 2),
      MAX_WRITES_IN_FLIGHT + 1,
    )
  }

  /** Waits for a free buffer. Throws when a sink has failed. */
  async take(): Promise<Uint8Array> {
    this.throwIfFailed()
    if (this.#free.length === 0 && this.#allowed > 0) {
      this.#allowed--
      return Buffer.allocUnsafeSlow(this.#size)
    }
    if (this.#free.length === 0) await Promise.race(this.#lent)
    this.throwIfFailed()
    const buffer = this.#free.pop()
    if (buffer === undefined) throw new Error('a chunk buffer was lent and not returned')
    return buffer
  }

  lend(buffer: Uint8Array, length: number, use: (bytes: Uint8Array) => Promise<void>): void {
    const lent = use(buffer.subarray(0, length))
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .then(() => {
        this.#lent.delete(lent)
        this.#free.push(buffer)
      })
    this.#lent.add(lent)
  }

  async settle(): Promise<void> {
    await Promise.all(this.#lent)
  }

  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }
}
