/**
 * The JSON of fetch manifests, read and written in the time that their size deserves.
 *
 * The codec of lib/schema blocks for a second at 16 384 entries, the default most of a plan. Here V8 parses (25 ms)
 * and the fields are checked in slices. The same files are accepted, but for what makes no difference to a
 * manifest: a key given twice counts as its last value, `7.0` is the integer 7, and `-0` is 0.
 */

import { isWellFormed, type ShardFetchEntry, type ShardFetchManifest } from '../schema/index.js'
import { DataSchemaError } from './errors.js'
import { quote } from './locator.js'
import { tooLarge } from './regular-file.js'
import type { OperationOptions } from '../core/abort.js'
import { TimeSlices } from '../core/time-slices.js'

/**
 * Reads the bytes of a manifest.
 *
 * @param what names it in errors, such as `The fetch manifest of …`
 * @throws DataTooLargeError; else as {@link readManifest}
 */
export async function parseManifest(
  bytes: Uint8Array,
  what: string,
  { maxBytes, ...options }: OperationOptions & { readonly maxBytes: number },
): Promise<ShardFetchManifest> {
  if (bytes.length > maxBytes) throw tooLarge(what, bytes.length, maxBytes)
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new DataSchemaError(`${what} is unusable: ${reason}`, { cause })
  }
  return readManifest(parsed, what, options)
}

/**
 * Reads a value as a manifest. Unknown fields are dropped.
 *
 * @param what names it in errors
 * @throws DataSchemaError naming the first field that is wrong; AbortError
 */
export async function readManifest(
  value: unknown,
  what: string,
  options: OperationOptions = {},
): Promise<ShardFetchManifest> {
  const slices = new TimeSlices('read a fetch manifest', options)
  const wrong = (path: string, expected: string, found: unknown) => {
    const shown =
      typeof found === 'string' || typeof found === 'number' ? `, not ${quote(String(found))}` : ''
    return new DataSchemaError(`${what} is unusable: ${path} must be ${expected}${shown}`)
  }
  const { dataset_view_id, entries } = fieldsOf(value)
  if (!isText(dataset_view_id)) throw wrong('dataset_view_id', TEXT, dataset_view_id)
  if (!Array.isArray(entries)) throw wrong('entries', 'an array', entries)
  const read: ShardFetchEntry[] = []
  for (const [index, item] of entries.entries()) {
    if (slices.due()) await slices.pause()
    const { microshard_id, ordinal, locator, content_hash, bytes_len } = fieldsOf(item)
    const at = `entries[${index}]`
    if (!isText(microshard_id)) throw wrong(`${at}.microshard_id`, TEXT, microshard_id)
    if (!isCount(ordinal, 0xffffffff)) throw wrong(`${at}.ordinal`, U32, ordinal)
    if (!isText(locator)) throw wrong(`${at}.locator`, TEXT, locator)
    if (!isText(content_hash)) throw wrong(`${at}.content_hash`, TEXT, content_hash)
    if (!isCount(bytes_len, Number.MAX_SAFE_INTEGER)) throw wrong(`${at}.bytes_len`, U64, bytes_len)
    // `+ 0` makes 0 of -0, which would be written as another number than it was read.
    read.push({
      microshard_id,
      ordinal: ordinal + 0,
      locator,
      content_hash,
      bytes_len: bytes_len + 0,
    })
  }
  return { dataset_view_id, entries: read }
}

const TEXT = 'a string of well-formed Unicode'
const U32 = 'an integer from 0 to 2^32 - 1'
const U64 = 'an integer from 0 to 2^53 - 1'

/** The manifest as pretty JSON, byte for byte as the codec writes it, in pieces of some entries. */
export function* manifestPieces(manifest: ShardFetchManifest): Generator<Buffer> {
  const { dataset_view_id, entries } = manifest
  let text = `{\n  "dataset_view_id": ${JSON.stringify(dataset_view_id)},\n  "entries": [`
  for (const [index, entry] of entries.entries()) {
    text += `${index === 0 ? '' : ','}\n    {
      "microshard_id": ${JSON.stringify(entry.microshard_id)},
      "ordinal": ${entry.ordinal},
      "locator": ${JSON.stringify(entry.locator)},
      "content_hash": ${JSON.stringify(entry.content_hash)},
      "bytes_len": ${entry.bytes_len}
    }`
    if (text.length < PIECE_LENGTH) continue
    yield Buffer.from(text)
    text = ''
  }
  yield Buffer.from(`${text}${entries.length === 0 ? '' : '\n  '}]\n}`)
}

/** Least length of a piece but the last, in UTF-16 units. */
const PIECE_LENGTH = 256 * 1024

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && isWellFormed(value)
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= most
}
