/** Where CBOR bytes are written: heads, texts, floats, and the walk over the wire model that both dialects share. */

import type { Wire } from '../json/wire.js'

/** Major types of RFC 8949, in place in the initial byte. */
export const MAJOR = {
  unsigned: 0x00,
  negative: 0x20,
  bytes: 0x40,
  text: 0x60,
  array: 0x80,
  map: 0xa0,
  tag: 0xc0,
} as const

/** The tag of an unsigned integer that needs more than 64 bits. */
export const BIGNUM_TAG = 2

/** How a dialect writes floats; all else is the same. */
export interface FloatStyle {
  /** Writes one 64-bit float. */
  double(sink: CborSink, value: number): void
  /** Writes the items of a list of 32-bit floats, without the list's head. */
  singles(sink: CborSink, values: Float32Array): void
}

/** The CBOR bytes of a wire value in the dialect of the floats' style. */
export function encodeWith(style: FloatStyle, value: Wire): Uint8Array {
  const sink = new CborSink()
  write(sink, value, style)
  return sink.take()
}

/** The bytes of {@link encodeWith}, in pieces of some {@link CBOR_PIECE_BYTES}. */
export function* encodePiecesWith(style: FloatStyle, value: Wire): Generator<Uint8Array> {
  const sink = new CborSink()
  yield* writePieces(sink, value, style, CUT_LEVELS)
  yield sink.take()
}

/** Records with many entries hold them in lists, so cutting at two levels is enough. */
const CUT_LEVELS = 2

/** Least length of a piece but the last: a tenth of a millisecond of writing and hashing. */
const CBOR_PIECE_BYTES = 16 * 1024

function* writePieces(
  sink: CborSink,
  value: Wire,
  style: FloatStyle,
  levels: number,
): Generator<Uint8Array> {
  const isMap = value instanceof Map
  if (levels === 0 || !(isMap || Array.isArray(value))) {
    write(sink, value, style)
    if (sink.length >= CBOR_PIECE_BYTES) yield sink.drain()
    return
  }
  const container = value as ReadonlyMap<string, Wire> | readonly Wire[]
  sink.head(
    isMap ? MAJOR.map : MAJOR.array,
    'size' in container ? container.size : container.length,
  )
  for (const [key, item] of container.entries()) {
    if (isMap) sink.text(String(key))
    yield* writePieces(sink, item, style, levels - 1)
  }
}

function write(sink: CborSink, value: Wire, style: FloatStyle): void {
  if (value === null) {
    sink.byte(0xf6)
  } else if (typeof value === 'string') {
    sink.text(value)
  } else if (typeof value === 'number') {
    style.double(sink, value)
  } else if (typeof value === 'bigint') {
    sink.integer(value)
  } else if (typeof value === 'boolean') {
    sink.byte(value ? 0xf5 : 0xf4)
  } else if (value instanceof Uint8Array) {
    sink.head(MAJOR.array, value.length)
    sink.bytes(value)
  } else if (value instanceof Float32Array) {
    sink.head(MAJOR.array, value.length)
    style.singles(sink, value)
  } else if (value instanceof Map) {
    const map = value as ReadonlyMap<string, Wire>
    sink.head(MAJOR.map, map.size)
    for (const [key, item] of map) {
      sink.text(key)
      write(sink, item, style)
    }
  } else {
    const list = value as readonly Wire[]
    sink.head(MAJOR.array, list.length)
    for (const item of list) write(sink, item, style)
  }
}

/** Bytes being written; doubles its room when full. */
export class CborSink {
  #buffer = Buffer.allocUnsafeSlow(256)
  #length = 0

  /** How many bytes have been written since the last {@link drain}. */
  get length(): number {
    return this.#length
  }

  /** A copy of the bytes written so far, which are forgotten. */
  drain(): Uint8Array {
    const bytes = Uint8Array.prototype.slice.call(this.#buffer, 0, this.#length)
    this.#length = 0
    return bytes
  }

  /** The bytes written so far. Nothing may be written afterwards. */
  take(): Uint8Array {
    const { buffer, length: room } = this.#buffer
    const isNearlyFull = room - this.#length < this.#length / 4
    // A copy gives the rest of the room back; megabytes that nearly fill it are not worth one.
    return isNearlyFull
      ? new Uint8Array(buffer, 0, this.#length)
      : new Uint8Array(this.#buffer.subarray(0, this.#length))
  }

  byte(value: number): void {
    this.#grow(1)
    this.#buffer[this.#length++] = value
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

  /** An integer from -2^64 on, with the shortest head; beyond 2^64 - 1 a bignum. */
  integer(value: bigint): void {
    if (value < 0n) return this.head(MAJOR.negative, -1n - value)
    if (value < 1n << 64n) return this.head(MAJOR.unsigned, value)
    const digits = value.toString(16)
    const magnitude = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, 'hex')
    this.head(MAJOR.tag, BIGNUM_TAG)
    this.head(MAJOR.bytes, magnitude.length)
    this.#grow(magnitude.length)
    this.#length += magnitude.copy(this.#buffer, this.#length)
  }

  text(value: string): void {
    const length = Buffer.byteLength(value)
    this.head(MAJOR.text, length)
    this.#grow(length)
    this.#length += this.#buffer.write(value, this.#length, 'utf8')
  }

  /** Each byte as an integer of one or two bytes. */
  bytes(values: Uint8Array): void {
    this.#grow(values.length * 2)
    const buffer = this.#buffer
    let at = this.#length
    for (const value of values) {
      if (value >= 24) buffer[at++] = MAJOR.unsigned | 24
      buffer[at++] = value
    }
    this.#length = at
  }

  /** A float in 64 bits. */
  double(value: number): void {
    this.#grow(9)
    this.byte(0xfb)
    this.#length = this.#buffer.writeDoubleBE(value, this.#length)
  }

  /** A float of 32 bits, given by its bits. */
  single(bits: number): void {
    this.#grow(5)
    const buffer = this.#buffer
    const at = this.#length
    buffer[at] = 0xfa
    buffer[at + 1] = bits >>> 24
    buffer[at + 2] = bits >>> 16
    buffer[at + 3] = bits >>> 8
    buffer[at + 4] = bits
    this.#length = at + 5
  }

  /** A float of 16 bits, given by its bits. */
  half(bits: number): void {
    this.#grow(3)
    const buffer = this.#buffer
    const at = this.#length
    buffer[at] = 0xf9
    buffer[at + 1] = bits >>> 8
    buffer[at + 2] = bits
    this.#length = at + 3
  }

  /** Makes room for `count` more bytes. It may replace the buffer. */
  #grow(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed + ROOM_AFTER, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** Room that is made beyond what is needed, so that the last fields of a large message do not double it. */
const ROOM_AFTER = 1024

/** The bits of 32-bit floats, over the same memory. */
export function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length)
}
