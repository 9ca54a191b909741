/**
 * Reads JSON that may come from anyone, with integer and float kept apart (spec section 6.1).
 *
 * `1` becomes a `bigint`, `1.0` a `number`; an integer outside -2^63 .. 2^64 - 1 becomes a float, as the
 * reference reads it. Stricter than JSON.parse: duplicate keys, lone surrogates and floats beyond 1.8e308 are
 * refused. Size and depth are bounded. A key `__proto__` becomes an ordinary own property.
 */

import { ConfigError } from '../errors.js'
import { MAX_JSON_BYTES } from './constants.js'
import { JsonParser } from './json-parser.js'

/** Any JSON value, with integers as `bigint` and floats as `number`. */
export type JsonValue =
  | null
  | boolean
  | bigint
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** What a reader accepts. */
export interface JsonLimits {
  /** Largest text, in bytes of UTF-8. Default {@link MAX_JSON_BYTES}. */
  readonly maxBytes?: number
}

/**
 * Parses a JSON text, or its UTF-8 bytes.
 *
 * @param what names the thing in the error, such as `lease`
 * @throws ConfigError when it is too large, too deep, not UTF-8, not JSON, or has a key twice
 */
export function parseJson(
  source: string | Uint8Array,
  what = 'JSON',
  { maxBytes = MAX_JSON_BYTES }: JsonLimits = {},
): JsonValue {
  try {
    const size = typeof source === 'string' ? Buffer.byteLength(source) : source.byteLength
    if (size > maxBytes) {
      throw new SyntaxError(`${size} bytes of JSON exceed the limit of ${maxBytes}; raise maxBytes`)
    }
    const text = typeof source === 'string' ? source : decodeUtf8(source)
    return new JsonParser(text).run() as JsonValue
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    const message = error.message
    throw new ConfigError(`Cannot read ${what}`, [{ path: '', message }], { cause: error })
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new SyntaxError('the bytes are not UTF-8', { cause: error })
  }
}
