/** Hashes the chunks of an artifact and hands each on, several at a time (spec store#descriptors). */

import type { ArtifactDescriptor, ChunkDescriptor, ChunkingScheme } from '../schema/index.js'
import type { OperationOptions } from '../core/abort.js'
import { checkChunkCount } from './chunking.js'
import type { ChunkFeed } from './chunk-feed.js'
import { MAX_CHUNKS_IN_FLIGHT } from './constants.js'
import type { ArtifactContent } from './descriptor.js'
import {
  ArtifactLengthMismatchError,
  ArtifactRootHashMismatchError,
  ChunkHashMismatchError,
  ChunkLengthMismatchError,
} from './errors.js'
import { ContentHash, contentIdOfChunk } from './hashing.js'
import { InFlight } from '../core/concurrency.js'

/** Takes one chunk; the bytes are lent until the promise settles. */
export type ChunkSink = (chunk: ChunkDescriptor, bytes: Uint8Array) => Promise<void>

/**
 * Reads a feed to its end and hands every chunk to `sink`. The root hash is taken here, in order; the hashes of the
 * chunks, and what the sink does, run beside it. When anything fails, the chunks under way are waited for first.
 */
export async function hashChunks(
  feed: ChunkFeed,
  chunking: ChunkingScheme,
  sink: ChunkSink | undefined,
  { signal }: OperationOptions,
): Promise<ArtifactContent> {
  const chunks: ChunkDescriptor[] = []
  const rootHash = new ContentHash()
  let total = 0
  await forEachChunk(feed, rootHash, signal, (bytes) => {
    const index = chunks.length
    const place = { offset_bytes: total, length_bytes: bytes.byteLength }
    total += bytes.byteLength
    // Takes its place now, for the order; its hash follows.
    chunks.push({ chunk_id: '', ...place, chunk_hash: '' })
    checkChunkCount(chunks.length, chunking)
    return async (hash) => {
      const chunk = { chunk_id: hash, ...place, chunk_hash: hash }
      chunks[index] = chunk
      await sink?.(chunk, bytes)
    }
  })
  return { bytes_len: total, chunks, root_hash: rootHash.contentId() }
}

/**
 * Throws unless a feed, which is cut as the descriptor says, has the bytes that the descriptor says.
 *
 * @throws ArtifactLengthMismatchError, ChunkHashMismatchError, ArtifactRootHashMismatchError
 */
export async function checkChunks(
  feed: ChunkFeed,
  descriptor: ArtifactDescriptor,
  { signal }: OperationOptions,
): Promise<void> {
  const rootHash = new ContentHash()
  const chunks = descriptor.chunks.values()
  let total = 0
  await forEachChunk(feed, rootHash, signal, (bytes) => {
    total += bytes.byteLength
    const chunk = chunks.next().value
    return (hash) => {
      if (chunk !== undefined) checkChunk(chunk, bytes, hash)
    }
  })
  const { artifact_id, bytes_len } = descriptor
  if (total !== bytes_len) throw new ArtifactLengthMismatchError(artifact_id, bytes_len, total)
  checkRoot(descriptor, rootHash.contentId())
}

/** Throws when a chunk's bytes are not those that its descriptor says. */
export function checkChunk(chunk: ChunkDescriptor, bytes: Uint8Array, hash: string): void {
  const { chunk_id, length_bytes, chunk_hash } = chunk
  if (bytes.byteLength !== length_bytes) {
    throw new ChunkLengthMismatchError(chunk_id, length_bytes, bytes.byteLength)
  }
  if (hash !== chunk_hash) throw new ChunkHashMismatchError(chunk_id, hash)
}

/** Throws when the bytes of an artifact do not have the root hash that its descriptor says. */
export function checkRoot({ artifact_id, root_hash }: ArtifactDescriptor, found: string): void {
  if (found !== root_hash) throw new ArtifactRootHashMismatchError(artifact_id, root_hash, found)
}

/** `begin` is called for each chunk in order; what it returns, as soon as the chunk's hash is known. */
async function forEachChunk(
  feed: ChunkFeed,
  rootHash: ContentHash,
  signal: AbortSignal | undefined,
  begin: (bytes: Uint8Array) => (hash: string) => Promise<void> | void,
): Promise<void> {
  const inFlight = new InFlight(MAX_CHUNKS_IN_FLIGHT)
  try {
    for await (const { bytes, giveBack } of feed) {
      const use = begin(bytes)
      await inFlight.room()
      const hashed = rootHash.update(bytes, signal)
      inFlight.start(async () => {
        const used = contentIdOfChunk(bytes, signal).then(use)
        const ended = await Promise.allSettled([hashed, used])
        giveBack(bytes.buffer)
        for (const one of ended) if (one.status === 'rejected') throw one.reason
      })
      await hashed
    }
  } finally {
    await inFlight.settle()
  }
  await inFlight.finish()
}
