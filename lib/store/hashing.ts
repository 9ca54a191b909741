/** Hashing large bytes without keeping the event loop waiting. */

import { createHash, webcrypto, type Hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'

import { contentIdFromDigest, type ContentId } from '../schema/index.js'
import { throwIfAborted } from '../core/abort.js'
import {
  HASH_SLICE_BYTES,
  MAX_POOL_HASHES,
  POOL_HASH_MAX_BYTES,
  POOL_HASH_MIN_BYTES,
} from './constants.js'
import { Slots } from '../core/concurrency.js'

/** A hash that is fed piece by piece on this thread; `contentId` ends it. */
export class ContentHash {
  readonly #hash: Hash = createHash('sha256')

  /**
   * Takes bytes, slice by slice; between slices the event loop runs. The bytes must not change meanwhile.
   *
   * @throws AbortError when the signal fires first
   */
  async update(bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    for (let at = 0; at < bytes.byteLength; at += HASH_SLICE_BYTES) {
      await setImmediate()
      throwIfAborted(signal, 'hash an artifact')
      this.#hash.update(bytes.subarray(at, at + HASH_SLICE_BYTES))
    }
  }

  contentId(): ContentId {
    return contentIdFromDigest(this.#hash.digest())
  }
}

const poolHashes = new Slots(MAX_POOL_HASHES)

/**
 * The content id of one chunk. Where it pays, it is hashed on Node's thread pool, beside what this thread does.
 *
 * @throws AbortError when the signal fires first
 */
export async function contentIdOfChunk(
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<ContentId> {
  const { byteLength } = bytes
  if (byteLength >= POOL_HASH_MIN_BYTES && byteLength <= POOL_HASH_MAX_BYTES) {
    const digest = await poolHashes.run(async () => {
      throwIfAborted(signal, 'hash a chunk')
      return webcrypto.subtle.digest('SHA-256', bytes)
    })
    return contentIdFromDigest(new Uint8Array(digest))
  }
  const hash = new ContentHash()
  await hash.update(bytes, signal)
  return hash.contentId()
}
