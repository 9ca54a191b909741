/**
 * Reads JSON that may come from anyone, with integer and float kept apart (spec section 6.1).
 *
 * `1` becomes a `bigint`, `1.0` a `number`; an integer outside -2^63 .. 2^64 - 1 becomes a float, as the
 * reference reads it. Stricter than JSON.parse: duplicate keys, lone surrogates and floats beyond 1.8e308 are
 * refused. Size and depth are bounded. A key `__proto__` becomes an ordinary own property.
 */

import { parse } from 'lossless-json'

import { ConfigError } from '../errors.js'
import { MAX_JSON_BYTES, MAX_JSON_DEPTH } from './constants.js'
import { clip } from './describe.js'
import { isWellFormed } from './wire.js'

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
    checkShape(text)
    return parse(text, null, { parseNumber }) as JsonValue
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

/** An integer outside this range is read as a float. */
const I64_MIN = -(2n ** 63n)
const U64_MAX = 2n ** 64n - 1n
/** Digits of the longest integer in range; longer ones are not worth the cost of a bigint. */
const MAX_INTEGER_LENGTH = U64_MAX.toString().length

function parseNumber(text: string): bigint | number {
  if (/^-?\d+$/.test(text) && text.length <= MAX_INTEGER_LENGTH && text !== '-0') {
    const integer = BigInt(text)
    if (integer >= I64_MIN && integer <= U64_MAX) return integer
  }
  const float = Number(text)
  if (!Number.isFinite(float)) throw new SyntaxError(`the number ${clip(text)} is out of range`)
  return float
}

/**
 * One pass over the text before it is parsed, for what the parser would let through or not survive: depth,
 * duplicate keys (the parser forgives equal values) and lone surrogates. Other faults are left to the parser.
 */
function checkShape(text: string): void {
  /** Per open bracket: the keys so far, or null for an array. */
  const open: (Set<string> | null)[] = []
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case '{':
      case '[':
        if (open.length === MAX_JSON_DEPTH) {
          throw new SyntaxError(`nested deeper than ${MAX_JSON_DEPTH} levels at position ${i}`)
        }
        open.push(text[i] === '{' ? new Set() : null)
        break
      case '}':
      case ']':
        open.pop()
        break
      case '"': {
        const start = i
        i = endOfString(text, start)
        const value = unquote(text.slice(start, i + 1))
        if (value === undefined) break
        if (!isWellFormed(value)) {
          throw new SyntaxError(
            `the string ${clip(value)} at position ${start} has a lone surrogate`,
          )
        }
        const keys = open.at(-1)
        if (keys && isKey(text, i + 1)) {
          if (keys.has(value)) {
            throw new SyntaxError(`duplicate key ${clip(value)} at position ${start}`)
          }
          keys.add(value)
        }
      }
    }
  }
}

/** Index of the closing quote of the string that opens at `start`; the text's length when there is none. */
function endOfString(text: string, start: number): number {
  for (let i = text.indexOf('"', start + 1); i !== -1; i = text.indexOf('"', i + 1)) {
    let backslashes = 0
    while (text[i - 1 - backslashes] === '\\') backslashes++
    if (backslashes % 2 === 0) return i
  }
  return text.length
}

function unquote(literal: string): string | undefined {
  if (!literal.includes('\\')) return literal.slice(1, -1)
  try {
    return JSON.parse(literal) as string
  } catch {
    return undefined
  }
}

function isKey(text: string, after: number): boolean {
  let i = after
  while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++
  return text[i] === ':'
}
