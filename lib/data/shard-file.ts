/** One shard in a cache: verified, fetched when missing, fetched again when corrupt (spec planning#shard-cache). */

import { createHash } from 'node:crypto'

import { writeStreamAtomic } from '../files/atomic-write.js'
import { TorchbedError } from '../errors.js'
import { contentIdFromDigest, type ShardFetchEntry } from '../schema/index.js'
import { HashMismatchError, LengthMismatchError, UnsafeLocatorError } from './errors.js'
import { ioError, quote } from './locator.js'
import { piecesOf, withRegularFile } from './regular-file.js'
import type { OperationOptions } from '../core/abort.js'
import type { ShardUpstream } from './upstream.js'

/**
 * Sees to it that a file holds the bytes of an entry. In memory there is one piece at a time.
 *
 * A file that is there is read and verified, every time. If it is missing it is fetched; if it is corrupt, not a
 * regular file, or arrives corrupt, it is fetched once more.
 *
 * @param upstream is opened when something has to be fetched
 * @throws HashMismatchError, LengthMismatchError when the second try is wrong too; the wrong bytes never have the
 *   file's name
 * @throws what the upstream throws, DataIoError, AbortError
 */
export async function ensureShardFile(
  path: string,
  entry: ShardFetchEntry,
  upstream: () => ShardUpstream,
  options: OperationOptions = {},
): Promise<void> {
  const state = await inspect(path, entry, options)
  if (state === 'good') return
  let mayRetry = state === 'missing'
  for (;;) {
    try {
      await fetchShard(path, entry, upstream(), options)
      return
    } catch (error) {
      if (!mayRetry || !isCorruption(error)) throw error
      mayRetry = false
    }
  }
}

async function inspect(
  path: string,
  entry: ShardFetchEntry,
  { signal }: OperationOptions,
): Promise<'good' | 'missing' | 'corrupt'> {
  try {
    const found = await withRegularFile(path, async (open) => {
      if (open.stats.size !== BigInt(entry.bytes_len)) return 'corrupt' as const
      const pieces = verified(piecesOf(open, signal), entry)
      while ((await pieces.next()).done !== true);
      return 'good' as const
    })
    return found ?? 'missing'
  } catch (error) {
    if (isCorruption(error) || error instanceof UnsafeLocatorError) return 'corrupt'
    throw error
  }
}

async function fetchShard(
  path: string,
  entry: ShardFetchEntry,
  upstream: ShardUpstream,
  { signal }: OperationOptions,
): Promise<void> {
  try {
    const source = verified(upstream.readShard(entry, { signal }), entry)
    await writeStreamAtomic(path, source, signal ? { signal } : {})
  } catch (error) {
    throw error instanceof TorchbedError ? error : ioError('write', path, error)
  }
}

/** Passes pieces on, and throws as soon as they cannot be, or in the end are not, what the entry says. */
async function* verified(
  pieces: AsyncIterable<Uint8Array>,
  entry: ShardFetchEntry,
): AsyncGenerator<Uint8Array> {
  const what = `The shard ${quote(entry.locator)} of microshard ${quote(entry.microshard_id)}`
  const says = 'its fetch manifest says'
  const hash = createHash('sha256')
  let length = 0
  for await (const piece of pieces) {
    length += piece.byteLength
    if (length > entry.bytes_len) {
      throw new LengthMismatchError(`${what} has more bytes than the ${entry.bytes_len} ${says}`)
    }
    hash.update(piece)
    yield piece
  }
  if (length < entry.bytes_len) {
    throw new LengthMismatchError(`${what} has ${length} bytes, not the ${entry.bytes_len} ${says}`)
  }
  const actual: string = contentIdFromDigest(hash.digest())
  if (actual !== entry.content_hash) {
    throw new HashMismatchError(
      `${what} hashes to ${actual}, not to the ${quote(entry.content_hash)} ${says}`,
      entry.content_hash,
      actual,
    )
  }
}

function isCorruption(error: unknown): boolean {
  return error instanceof HashMismatchError || error instanceof LengthMismatchError
}
