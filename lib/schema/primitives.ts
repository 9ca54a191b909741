/** Codecs of single values: text, integers, floats, bytes (spec formats#json and formats#canonical-cbor). */

import { Codec, refuse } from './codec.js'
import { describe } from './describe.js'
import { INVALID } from './issues.js'
import { isWellFormed, type Wire } from '../json/wire.js'

/** Any text that UTF-8 can hold. */
export const text = textOf<string>('text')

/** Text under a narrower type, such as an id. */
export function textOf<T extends string>(name: string): Codec<T> {
  return new Codec<T>({
    name,
    read: (input, issues) =>
      typeof input === 'string' ? (input as T) : issues.misfit('a string', input),
    decode: (reader) => reader.text() as T,
    encode: encodeText,
  })
}

/** The wire form of a text; refuses anything else, and lone surrogates. */
export function encodeText(value: unknown): string {
  if (typeof value !== 'string') refuse(`expected a string, got ${describe(value)}`)
  if (!isWellFormed(value)) refuse(`the string ${describe(value)} has a lone surrogate`)
  return value
}

/** `true` or `false`. */
export const bool = new Codec<boolean>({
  name: 'bool',
  read: (input, issues) =>
    typeof input === 'boolean' ? input : issues.misfit('true or false', input),
  encode: (value) => {
    if (typeof value !== 'boolean') refuse(`expected true or false, got ${describe(value)}`)
    return value
  },
})

/**
 * An integer held as a JavaScript number.
 *
 * The bounds must be safe integers: a value beyond 2^53 is refused, never rounded.
 */
function integer(name: string, min: number, max: number): Codec<number> {
  const expected = `an integer from ${min} to ${max}`
  return new Codec<number>({
    name,
    read: (input, issues) => {
      if (typeof input === 'bigint' && input >= min && input <= max) return Number(input)
      return issues.misfit(expected, input)
    },
    encode: (value) => {
      if (!Number.isInteger(value) || value < min || value > max) {
        refuse(
          `expected ${expected}, got ${typeof value === 'number' ? String(value) : describe(value)}`,
        )
      }
      return BigInt(value)
    },
  })
}

/** An integer held as a `bigint`, over its whole range. */
function bigInteger(name: string, min: bigint, max: bigint): Codec<bigint> {
  const expected = `an integer from ${min.toString()} to ${max.toString()}`
  const fits = (value: unknown): value is bigint =>
    typeof value === 'bigint' && value >= min && value <= max
  return new Codec<bigint>({
    name,
    read: (input, issues) => (fits(input) ? input : issues.misfit(expected, input)),
    encode: (value) => {
      if (!fits(value)) {
        refuse(`expected ${expected} as a bigint, got ${typeof value} ${describe(value)}`)
      }
      return value
    },
  })
}

/** An integer from 0 to 255, as a `number`. */
export const u8 = integer('u8', 0, 0xff)
/** An integer from 0 to 65,535, as a `number`. */
export const u16 = integer('u16', 0, 0xffff)
/** An integer from 0 to 4,294,967,295, as a `number`. */
export const u32 = integer('u32', 0, 0xffffffff)
/** An integer from -128 to 127, as a `number`. */
export const i8 = integer('i8', -0x80, 0x7f)
/** A u64 that counts or measures: 0 .. 2^53 - 1 as a number. Larger values are an error in both directions. */
export const u64 = integer('u64', 0, Number.MAX_SAFE_INTEGER)
/** An i64 that counts or measures, within ±(2^53 - 1). */
export const i64 = integer('i64', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
/** A u64 that uses its whole range, such as a seed, as a `bigint`. */
export const u64Exact = bigInteger('u64', 0n, 2n ** 64n - 1n)
/** A u128, as a `bigint`. JSON holds it up to 2^64 - 1: larger integers are read as floats. */
export const u128 = bigInteger('u128', 0n, 2n ** 128n - 1n)
/** An i64 over its whole range, as a `bigint`. */
export const i64Exact = bigInteger('i64', -(2n ** 63n), 2n ** 63n - 1n)

/**
 * A 64-bit float. Reads integers too, as the reference does. NaN and infinities are written as `null` in JSON
 * and are not read back.
 */
export const f64 = new Codec<number>({
  name: 'f64',
  read: (input, issues) => {
    if (typeof input === 'number') return input
    if (typeof input === 'bigint') return Number(input)
    return issues.misfit('a number', input)
  },
  decode: (reader) => reader.double(),
  encode: (value) => {
    if (typeof value !== 'number') refuse(`expected a number, got ${describe(value)}`)
    return value
  },
})

/** Bytes, as a list of integers in both formats. */
export const bytes = new Codec<Uint8Array>({
  name: 'bytes',
  read: (input, issues) => {
    if (!Array.isArray(input)) return issues.misfit('an array of bytes', input)
    const result = new Uint8Array(input.length)
    for (const [index, item] of input.entries()) {
      const byte = issues.part(index, u8.read, item)
      if (byte === INVALID) return INVALID
      result[index] = byte
    }
    return result
  },
  decode: (reader) => reader.bytes(),
  encode: (value): Wire => {
    if (!(value instanceof Uint8Array)) refuse(`expected a Uint8Array, got ${describe(value)}`)
    return value
  },
})

const readF32: typeof f64.read = (input, issues) => {
  const number = f64.read(input, issues)
  if (number === INVALID) return INVALID
  const isBeyond = Number.isFinite(number) && !Number.isFinite(Math.fround(number))
  return isBeyond ? issues.misfit('a number in the range of a 32-bit float', input) : number
}

/**
 * 32-bit floats. In CBOR each is widened to 64 bits and then shortened (spec formats#canonical-cbor).
 * A number beyond their range is refused: it would be infinite, which JSON cannot write back.
 */
export const f32Array = new Codec<Float32Array>({
  name: 'f32 array',
  read: (input, issues) => {
    if (!Array.isArray(input)) return issues.misfit('an array of numbers', input)
    const result = new Float32Array(input.length)
    for (const [index, item] of input.entries()) {
      const number = issues.part(index, readF32, item)
      if (number === INVALID) return INVALID
      result[index] = number
    }
    return result
  },
  decode: (reader) => reader.singles(),
  encode: (value): Wire => {
    if (!(value instanceof Float32Array)) refuse(`expected a Float32Array, got ${describe(value)}`)
    return value
  },
})
