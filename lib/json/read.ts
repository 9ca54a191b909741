/**
 * Reads JSON that may come from anyone, with integer and float kept apart (spec formats#json).
 *
 * `1` becomes a `bigint`, `1.0` a `number`; an integer outside -2^63 .. 2^64 - 1 becomes a float, as the
 * reference reads it. Stricter than JSON.parse: duplicate keys, lone surrogates and floats beyond 1.8e308 are
 * refused. Size and depth are bounded. A key `__proto__` becomes an ordinary own property.
 */

import { setImmediate } from 'node:timers/promises'

import { throwIfAborted } from '../core/abort.js'
import { ConfigError } from '../errors.js'
import { MAX_JSON_BYTES, VALUES_PER_SLICE } from './constants.js'
import { JsonParser, type JsonValue } from './parser.js'

/** What a reader accepts. */
export interface JsonLimits {
  /** Largest text, in bytes of UTF-8. Default {@link MAX_JSON_BYTES}. */
  readonly maxBytes?: number
}

/** What a reader that pauses accepts. */
export interface JsonAsyncOptions extends JsonLimits {
  /** Stops the reading with an `AbortError`. */
  readonly signal?: AbortSignal | undefined
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
  limits: JsonLimits = {},
): JsonValue {
  return explain(what, () => parserOf(source, limits).run() as JsonValue)
}

/**
 * Like {@link parseJson}, with pauses in which the event loop turns: one every `VALUES_PER_SLICE` values.
 *
 * @throws ConfigError as {@link parseJson} does; AbortError when the signal fires
 */
export async function parseJsonAsync(
  source: string | Uint8Array,
  what = 'JSON',
  { signal, ...limits }: JsonAsyncOptions = {},
): Promise<JsonValue> {
  const parser = explain(what, () => parserOf(source, limits))
  for (;;) {
    throwIfAborted(signal, `read ${what}`)
    const value = explain(what, () => parser.run(VALUES_PER_SLICE))
    if (value !== undefined) return value
    await setImmediate()
  }
}

function parserOf(
  source: string | Uint8Array,
  { maxBytes = MAX_JSON_BYTES }: JsonLimits,
): JsonParser {
  const size = typeof source === 'string' ? Buffer.byteLength(source) : source.byteLength
  if (size > maxBytes) {
    throw new SyntaxError(`${size} bytes of JSON exceed the limit of ${maxBytes}; raise maxBytes`)
  }
  return new JsonParser(typeof source === 'string' ? source : decodeUtf8(source))
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (error) {
    throw new SyntaxError('the bytes are not UTF-8', { cause: error })
  }
}

function explain<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    const issue = { path: '', message: error.message }
    throw new ConfigError(`Cannot read ${what}`, [issue], { cause: error })
  }
}
