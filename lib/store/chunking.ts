/** How an artifact is cut: fixed-size chunks, the last one shorter (spec store#descriptors). */

import type { ChunkingScheme } from '../schema/index.js'
import { DEFAULT_CHUNK_SIZE_BYTES, MAX_CHUNK_BYTES, MAX_CHUNK_COUNT } from './constants.js'
import { InvalidChunkSizeError } from './errors.js'

/**
 * A chunking scheme.
 *
 * @param chunkSizeBytes size of all chunks but the last, in bytes; default {@link DEFAULT_CHUNK_SIZE_BYTES}
 * @throws InvalidChunkSizeError when it is not a whole number from 1 to {@link MAX_CHUNK_BYTES}
 */
export function chunkingScheme(chunkSizeBytes: number = DEFAULT_CHUNK_SIZE_BYTES): ChunkingScheme {
  if (chunkSizeBytes === 0) throw new InvalidChunkSizeError('chunk size must be greater than zero')
  if (!Number.isInteger(chunkSizeBytes) || chunkSizeBytes < 1 || chunkSizeBytes > MAX_CHUNK_BYTES) {
    throw new InvalidChunkSizeError(
      `chunk size must be a whole number of bytes from 1 to ${MAX_CHUNK_BYTES}, not ${chunkSizeBytes}`,
    )
  }
  return { chunk_size_bytes: chunkSizeBytes }
}

/** Throws when an artifact would have more chunks than a descriptor may list. */
export function checkChunkCount(count: number, { chunk_size_bytes }: ChunkingScheme): void {
  if (count <= MAX_CHUNK_COUNT) return
  throw new InvalidChunkSizeError(
    `the artifact has more than ${MAX_CHUNK_COUNT} chunks of ${chunk_size_bytes} bytes; use a larger chunk size`,
  )
}
