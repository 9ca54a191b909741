/**
 * Writes the wire model as CBOR in the one form that content ids are made of (spec formats#canonical-cbor).
 *
 * It is deterministic, but not the sorted form of RFC 8949: fields stay in declaration order, and bytes are
 * arrays of integers. Floats take the shortest of half, single and double that keeps their 64 bits.
 */

import type { Wire } from '../json/wire.js'

/** Major types of RFC 8949, in place in the initial byte. */
const MAJOR = { unsigned: 0x00, negative: 0x20, text: 0x60, array: 0x80, map: 0xa0 } as const

/** The CBOR bytes of a wire value. Integers must lie within -2^64 .. 2^64 - 1; codecs see to that. */
export function encodeCbor(value: Wire): Uint8Array {
  const sink = new Sink()
  write(sink, value)
  return sink.bytes()
}

function write(sink: Sink, value: Wire): void {
  if (value === null) {
    sink.byte(0xf6)
  } else if (typeof value === 'string') {
    sink.text(value)
  } else if (typeof value === 'number') {
    sink.float(value)
  } else if (typeof value === 'bigint') {
    if (value >= 0n) sink.head(MAJOR.unsigned, value)
    else sink.head(MAJOR.negative, -1n - value)
  } else if (typeof value === 'boolean') {
    sink.byte(value ? 0xf5 : 0xf4)
  } else if (value instanceof Uint8Array) {
    sink.head(MAJOR.array, value.length)
    for (const byte of value) sink.head(MAJOR.unsigned, byte)
  } else if (value instanceof Float32Array) {
    sink.head(MAJOR.array, value.length)
    sink.floats(value)
  } else if (value instanceof Map) {
    const map = value as ReadonlyMap<string, Wire>
    sink.head(MAJOR.map, map.size)
    for (const [key, item] of map) {
      sink.text(key)
      write(sink, item)
    }
  } else {
    const list = value as readonly Wire[]
    sink.head(MAJOR.array, list.length)
    for (const item of list) write(sink, item)
  }
}

/** The bits of a 32-bit float as an IEEE half, or undefined when a half cannot hold it exactly. */
function halfBits(bits: number): number | undefined {
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 0xff) - 127
  const mantissa = bits & 0x7fffff
  if (exponent >= -14 && exponent <= 15) {
    if ((mantissa & 0x1fff) !== 0) return undefined
    return sign | ((exponent + 15) << 10) | (mantissa >>> 13)
  }
  if (exponent === 128) return mantissa === 0 ? sign | 0x7c00 : CANONICAL_NAN
  if ((bits & 0x7fffffff) === 0) return sign
  // A subnormal half counts in units of 2^-24.
  if (exponent >= -24 && exponent < -14) {
    const shift = -1 - exponent
    const significand = mantissa | 0x800000
    if ((significand & ((1 << shift) - 1)) !== 0) return undefined
    return sign | (significand >>> shift)
  }
  return undefined
}

const CANONICAL_NAN = 0x7e00

/** Bytes being written; doubles its room when full. */
class Sink {
  #buffer = Buffer.allocUnsafeSlow(256)
  #length = 0

  bytes(): Uint8Array {
    return new Uint8Array(this.#buffer.subarray(0, this.#length))
  }

  byte(value: number): void {
    this.#grow(1)
    this.#length = this.#buffer.writeUInt8(value, this.#length)
  }

  /** An initial byte and its argument, in the fewest bytes. */
  head(major: number, argument: number | bigint): void {
    this.#grow(9)
    if (argument < 24) {
      this.byte(major | Number(argument))
    } else if (argument <= 0xff) {
      this.byte(major | 24)
      this.byte(Number(argument))
    } else if (argument <= 0xffff) {
      this.byte(major | 25)
      this.#length = this.#buffer.writeUInt16BE(Number(argument), this.#length)
    } else if (argument <= 0xffffffff) {
      this.byte(major | 26)
      this.#length = this.#buffer.writeUInt32BE(Number(argument), this.#length)
    } else {
      this.byte(major | 27)
      this.#length = this.#buffer.writeBigUInt64BE(BigInt(argument), this.#length)
    }
  }

  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.head(MAJOR.text, length)
    this.#grow(length)
    this.#length += this.#buffer.write(value, this.#length, 'utf8')
  }

  float(value: number): void {
    const single = Float32Array.of(value)
    if (Object.is(single[0], value)) {
      this.floats(single)
    } else {
      this.#grow(9)
      this.byte(0xfb)
      this.#length = this.#buffer.writeDoubleBE(value, this.#length)
    }
  }

  /** Each as a half when that is exact, else as a single. */
  floats(values: Float32Array): void {
    this.#grow(values.length * 5)
    const buffer = this.#buffer
    let at = this.#length
    for (const bits of new Uint32Array(values.buffer, values.byteOffset, values.length)) {
      const half = halfBits(bits)
      if (half === undefined) {
        buffer[at++] = 0xfa
        buffer[at++] = bits >>> 24
        buffer[at++] = bits >>> 16
        buffer[at++] = bits >>> 8
        buffer[at++] = bits
      } else {
        buffer[at++] = 0xf9
        buffer[at++] = half >>> 8
        buffer[at++] = half
      }
    }
    this.#length = at
  }

  /** Makes room for `count` more bytes. It may replace the buffer. */
  #grow(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
