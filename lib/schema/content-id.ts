/** Content ids: the hash that names bytes and values (spec formats#content-ids). */

import { createHash } from 'node:crypto'

import { ConfigError } from '../errors.js'
import type { OperationOptions } from '../core/abort.js'
import { TimeSlices } from '../core/time-slices.js'
import { encodeCborPieces } from './cbor.js'
import type { Codec } from './codec.js'
import type { ContentId } from './ids.js'

/** The multihash code of SHA-256 and the digest's length, in hex. */
const MULTIHASH_SHA256 = '1220'

/** The content id of raw bytes: 68 characters, `1220` and the SHA-256 in lower-case hex. */
export function contentId(bytes: Uint8Array): ContentId {
  return contentIdFromDigest(createHash('sha256').update(bytes).digest())
}

/**
 * The content id of bytes whose SHA-256 is already known, such as after hashing a stream.
 *
 * @param sha256 the digest, 32 bytes
 * @throws ConfigError when it has another length
 */
export function contentIdFromDigest(sha256: Uint8Array): ContentId {
  if (sha256.length !== 32) {
    const message = `a SHA-256 has 32 bytes, not ${sha256.length}`
    throw new ConfigError('Cannot make a content id', [{ path: '', message }])
  }
  return MULTIHASH_SHA256 + Buffer.from(sha256).toString('hex')
}

/**
 * The content id of a value: that of its CBOR.
 *
 * @throws ConfigError when the codec cannot write the value
 */
export function contentIdOf<T>(codec: Codec<T>, value: T): ContentId {
  return contentId(codec.toCbor(value))
}

/**
 * Like {@link contentIdOf}, for values of megabytes: the event loop turns meanwhile.
 *
 * @throws ConfigError when the codec cannot write the value; AbortError when the signal fires
 */
export async function contentIdOfAsync<T>(
  codec: Codec<T>,
  value: T,
  options: OperationOptions = {},
): Promise<ContentId> {
  const wire = await codec.toWireAsync(value, options)
  const slices = new TimeSlices(`hash ${codec.name}`, options)
  const hash = createHash('sha256')
  for (const piece of encodeCborPieces(wire)) {
    hash.update(piece)
    if (slices.due()) await slices.pause()
  }
  return contentIdFromDigest(hash.digest())
}

/** Whether a text has the form of a content id. Ids in records may be any text. */
export function isContentId(text: string): boolean {
  return /^1220[0-9a-f]{64}$/.test(text)
}
