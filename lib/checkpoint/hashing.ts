/** Hashing large bytes without keeping the event loop waiting. */

import { createHash, type Hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'

import { contentIdFromDigest, type ContentId } from '../schema/index.js'
import { throwIfAborted } from './abort.js'
import { HASH_SLICE_BYTES } from './constants.js'

/** A hash that is fed piece by piece; `contentId` ends it. */
export class ContentHash {
  readonly #hash: Hash = createHash('sha256')

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  contentId(): ContentId {
    return contentIdFromDigest(this.#hash.digest())
  }
}

/**
 * Feeds bytes to one or several hashes, slice by slice; between slices the event loop runs.
 * The bytes must not change meanwhile.
 *
 * @throws AbortError when the signal fires first
 */
export async function hashInSlices(
  hashes: readonly ContentHash[],
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  for (let at = 0; at < bytes.byteLength; at += HASH_SLICE_BYTES) {
    await setImmediate()
    throwIfAborted(signal, 'hash an artifact')
    const slice = bytes.subarray(at, at + HASH_SLICE_BYTES)
    for (const hash of hashes) hash.update(slice)
  }
}
