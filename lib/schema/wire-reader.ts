/**
 * Reads the CBOR that peers send each other, piece by piece, as codecs ask for it (spec network#wire-cbor).
 *
 * Bytes of a peer are hostile: nothing is allocated on the word of a count, nesting and the number of values are
 * bounded, and what a codec does not ask for is passed over without being built. Strict where the reference's
 * reader is: a float has its full width and an integer is no float. Indefinite length is for texts alone.
 */

import type { JsonValue } from '../json/parser.js'
import { MAX_WIRE_DEPTH, MAX_WIRE_VALUES } from './constants.js'
import { BIGNUM_TAG, MAJOR } from './cbor-sink.js'
import { clip } from '../core/quoting.js'

/** Bytes that are not what they should be; the position is that of the reader. */
export class WireSyntaxError extends Error {}

/** A place in a message. */
export interface WireMark {
  readonly position: number
  readonly depth: number
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Most bytes in the bignum of a u128. */
const MAX_BIGNUM_BYTES = 16

const NULL = 0xf6
const FALSE = 0xf4
const TRUE = 0xf5
const SINGLE = 0xfa
const DOUBLE = 0xfb
const BREAK = 0xff
const INDEFINITE_TEXT = MAJOR.text | 31

/** A reader at a place in bytes. Every method moves it past what it read, or throws a `WireSyntaxError`. */
export class WireReader {
  readonly #bytes: Buffer
  readonly #view: DataView
  #at = 0
  #depth = 0
  #values = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  /** Index of the next byte. */
  get position(): number {
    return this.#at
  }

  /** Where the reader is, for {@link rewind}. */
  mark(): WireMark {
    return { position: this.#at, depth: this.#depth }
  }

  /** Goes back to where it was. Values that were counted since remain so. */
  rewind({ position, depth }: WireMark): void {
    this.#at = position
    this.#depth = depth
  }

  /** Checks that nothing follows. */
  end(): void {
    const rest = this.#bytes.length - this.#at
    if (rest > 0) throw new WireSyntaxError(`${rest} bytes follow the value`)
  }

  /** Enters an array and returns the number of its items; {@link leave} it after the last one. */
  array(expected = 'an array'): number {
    const count = this.#count(MAJOR.array, expected)
    this.#enter()
    return count
  }

  /** Enters a map and returns the number of its entries; {@link leave} it after the last one. */
  map(expected = 'a map'): number {
    const count = this.#count(MAJOR.map, expected)
    if (count > this.#left() / 2) {
      throw new WireSyntaxError(`a map of ${count} entries has ${this.#left()} bytes`)
    }
    this.#enter()
    return count
  }

  /** Ends the container that was entered last. */
  leave(): void {
    this.#depth--
  }

  /** Whether the next value is a null, which is then behind. */
  takeNull(): boolean {
    return this.#takeByte(NULL)
  }

  /** Whether the next value is a text. */
  isText(): boolean {
    return (this.#peek() & 0xe0) === MAJOR.text
  }

  /** Whether the next bytes are these, which are then behind: a key that is expected next. */
  takeBytes(expected: Uint8Array): boolean {
    const end = this.#at + expected.length
    if (end > this.#bytes.length) return false
    for (let i = 0; i < expected.length; i++) {
      if (this.#bytes[this.#at + i] !== expected[i]) return false
    }
    this.#at = end
    return true
  }

  /** A text. */
  text(expected = 'a text'): string {
    if (this.#peek() === INDEFINITE_TEXT) return this.#textOfPieces()
    const length = this.#count(MAJOR.text, expected)
    const start = this.#at
    this.#at += length
    return this.#decode(start, this.#at)
  }

  /** A 64-bit float. */
  double(): number {
    if (this.#peek() !== DOUBLE) throw this.#misfit('a float of 64 bits')
    this.#countValue()
    this.#need(9, 'a float')
    const value = this.#view.getFloat64(this.#at + 1)
    this.#at += 9
    return value
  }

  /** Bytes, which are an array of integers from 0 to 255. */
  bytes(): Uint8Array {
    const count = this.#count(MAJOR.array, 'an array of bytes')
    const bytes = this.#bytes
    const result = new Uint8Array(count)
    let at = this.#at
    for (let i = 0; i < count; i++) {
      const initial = bytes[at] ?? BREAK
      if (initial < 24) {
        result[i] = initial
        at++
      } else if (initial === 24 && at + 1 < bytes.length) {
        result[i] = bytes[at + 1] ?? 0
        at += 2
      } else {
        this.#at = at
        // Wider than it has to be, or no byte at all.
        const value = this.value()
        if (typeof value !== 'bigint' || value < 0n || value > 255n) {
          throw new WireSyntaxError(
            `item ${i} of an array of bytes is not an integer from 0 to 255`,
          )
        }
        result[i] = Number(value)
        at = this.#at
      }
    }
    this.#at = at
    return result
  }

  /** An array of 32-bit floats. */
  singles(): Float32Array {
    const count = this.#count(MAJOR.array, 'an array of floats of 32 bits')
    if (count > Math.floor(this.#left() / 5)) {
      throw new WireSyntaxError(`${count} floats of 32 bits have ${this.#left()} bytes`)
    }
    const result = new Float32Array(count)
    let at = this.#at
    for (let i = 0; i < count; i++) {
      if (this.#bytes[at] !== SINGLE) {
        this.#at = at
        throw this.#misfit('a float of 32 bits')
      }
      result[i] = this.#view.getFloat32(at + 1)
      at += 5
    }
    this.#at = at
    return result
  }

  /** Passes over any value. */
  skip(): void {
    let left = 1
    // Without recursion: what is inside is counted instead.
    for (; left > 0; left--) {
      const initial = this.#peek()
      const major = initial & 0xe0
      if (major === MAJOR.array) left += this.#count(MAJOR.array, 'an array')
      else if (major === MAJOR.map) left += this.#count(MAJOR.map, 'a map') * 2
      else if (major === MAJOR.text) this.#skipText()
      else if (initial === SINGLE) this.#skipBytes(5)
      else if (initial === DOUBLE) this.#skipBytes(9)
      else this.#scalar()
    }
  }

  /** Any value in the form in which codecs read JSON: integers `bigint`, floats `number`. */
  value(): JsonValue {
    const initial = this.#peek()
    const major = initial & 0xe0
    if (major === MAJOR.text) return this.text()
    if (initial === DOUBLE) return this.double()
    if (major === MAJOR.array) {
      const items: JsonValue[] = []
      for (let count = this.array(); count > 0; count--) items.push(this.value())
      this.leave()
      return items
    }
    if (major === MAJOR.map) {
      const entries = new Map<string, JsonValue>()
      for (let count = this.map(); count > 0; count--) {
        const key = this.text('a text as key')
        if (entries.has(key)) throw new WireSyntaxError(`duplicate key ${clip(key)}`)
        entries.set(key, this.value())
      }
      this.leave()
      return Object.fromEntries(entries)
    }
    return this.#scalar()
  }

  /** Counts a value, so that a small message cannot become a large structure. */
  #countValue(): void {
    if (++this.#values > MAX_WIRE_VALUES) {
      throw new WireSyntaxError(`more than ${MAX_WIRE_VALUES} values`)
    }
  }

  /** An integer, boolean or null. */
  #scalar(): bigint | boolean | null {
    const initial = this.#peek()
    this.#countValue()
    switch (initial) {
      case NULL:
        this.#at++
        return null
      case FALSE:
      case TRUE:
        this.#at++
        return initial === TRUE
      case MAJOR.tag | BIGNUM_TAG:
        this.#at++
        return this.#bignum()
      default:
    }
    if (initial <= (MAJOR.unsigned | 27)) return this.#argument()
    if (initial >= MAJOR.negative && initial <= (MAJOR.negative | 27)) return -1n - this.#argument()
    throw this.#misfit('a value')
  }

  #bignum(): bigint {
    const length = this.#count(MAJOR.bytes, 'the bytes of a bignum')
    if (length > MAX_BIGNUM_BYTES) throw new WireSyntaxError(`a bignum of ${length} bytes`)
    const magnitude = this.#bytes.subarray(this.#at, (this.#at += length))
    return BigInt(`0x${magnitude.toString('hex') || '0'}`)
  }

  /** The initial byte of the next value. */
  #peek(): number {
    const initial = this.#bytes[this.#at]
    if (initial === undefined) throw new WireSyntaxError('the bytes end where a value should be')
    return initial
  }

  #takeByte(expected: number): boolean {
    if (this.#bytes[this.#at] !== expected) return false
    this.#at++
    return true
  }

  /** The argument of the next head, over its whole range. */
  #argument(): bigint {
    const short = this.#peek() & 0x1f
    if (short === 27) {
      this.#need(9, 'an integer')
      const value = this.#view.getBigUint64(this.#at + 1)
      this.#at += 9
      return value
    }
    return BigInt(this.#shortArgument(short))
  }

  /** The argument of the next head, which has at most 32 bits. */
  #shortArgument(short: number): number {
    if (short < 24) {
      this.#at++
      return short
    }
    const width = 1 << (short - 24)
    this.#need(1 + width, 'a head')
    const value = this.#bytes.readUIntBE(this.#at + 1, width)
    this.#at += 1 + width
    return value
  }

  /** The count or length in the next head, at most the number of bytes that follow it. */
  #count(major: number, expected: string): number {
    const initial = this.#peek()
    const short = initial & 0x1f
    if ((initial & 0xe0) !== major || short > 27) throw this.#misfit(expected)
    this.#countValue()
    const count = short === 27 ? Number(this.#argument()) : this.#shortArgument(short)
    if (count > this.#left()) {
      throw new WireSyntaxError(`${expected} of ${count} has ${this.#left()} bytes`)
    }
    return count
  }

  #enter(): void {
    if (++this.#depth > MAX_WIRE_DEPTH) {
      throw new WireSyntaxError(`nested deeper than ${MAX_WIRE_DEPTH} levels`)
    }
  }

  #decode(start: number, end: number): string {
    for (let i = start; i < end; i++) {
      if ((this.#bytes[i] ?? 0) >= 0x80) return this.#decodeUtf8(start, end)
    }
    return this.#bytes.toString('latin1', start, end)
  }

  #decodeUtf8(start: number, end: number): string {
    try {
      return utf8.decode(this.#bytes.subarray(start, end))
    } catch {
      throw new WireSyntaxError('a text is not UTF-8')
    }
  }

  /** A text of indefinite length: the reference writes times and versions of more than 255 bytes so. */
  #textOfPieces(): string {
    let text = ''
    for (this.#at++; !this.#takeByte(BREAK);) {
      const length = this.#count(MAJOR.text, 'a piece of text')
      text += this.#decode(this.#at, (this.#at += length))
    }
    return text
  }

  #skipText(): void {
    if (this.#peek() === INDEFINITE_TEXT) {
      this.#textOfPieces()
      return
    }
    const length = this.#count(MAJOR.text, 'a text')
    this.#at += length
  }

  #skipBytes(count: number): void {
    this.#countValue()
    this.#need(count, 'a float')
    this.#at += count
  }

  #left(): number {
    return this.#bytes.length - this.#at
  }

  #need(count: number, what: string): void {
    if (this.#left() < count) throw new WireSyntaxError(`the bytes end inside ${what}`)
  }

  #misfit(expected: string): WireSyntaxError {
    return new WireSyntaxError(`expected ${expected}, got ${nameOf(this.#peek())}`)
  }
}

/** What a value is, by its initial byte. */
function nameOf(initial: number): string {
  const major = initial & 0xe0
  if (initial === NULL) return 'null'
  if (initial === TRUE || initial === FALSE) return 'a boolean'
  if (initial === 0xf9) return 'a float of 16 bits'
  if (initial === SINGLE) return 'a float of 32 bits'
  if (initial === DOUBLE) return 'a float of 64 bits'
  if (major === MAJOR.unsigned || major === MAJOR.negative) return 'an integer'
  const names: Readonly<Record<number, string>> = {
    [MAJOR.bytes]: 'a byte string',
    [MAJOR.text]: 'a text',
    [MAJOR.array]: 'an array',
    [MAJOR.map]: 'a map',
    [MAJOR.tag]: 'a tag',
  }
  const indefinite = (initial & 0x1f) === 31 ? ' of indefinite length' : ''
  const name = names[major]
  return name === undefined ? `the byte 0x${initial.toString(16)}` : name + indefinite
}
