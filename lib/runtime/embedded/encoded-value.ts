/**
 * Values on their way into Python, flat: one pass over the value here, one pass over the result in
 * native/bridge/encoded_value.cc, and no call across Node-API for every number and key between.
 * docs/reference/values.md says what becomes what.
 */

import { isAnyArrayBuffer, isDate, isExternal, isMap } from 'node:util/types'
import { LentBuffer } from '../lent-buffer.js'
import {
  refusedObject,
  isPlain,
  RefusedValue,
  timestampText,
  type Step,
} from '../conversion-error.js'
import { MAX_VALUE_DEPTH, PyFloat, type PyInput } from '../values.js'

/** From this depth on, in levels, every object is compared with those around it. */
const CYCLE_CHECK_DEPTH = 8

/** Longest string that goes into the common text, in UTF-16 units; longer ones are copied on their own. */
const MAX_POOLED_STRING = 1024

/** Longest common text, in UTF-16 units: half of what V8 allows. */
const MAX_POOLED_TEXT = 268_435_456

/** First word of an instruction; the second is its argument. native/bridge/encoded_value.hpp has the same. */
const OP = {
  none: 0,
  false: 1,
  true: 2,
  /** The argument is the number, in 32 bits, signed. */
  int: 3,
  /** The next of `numbers`, which is whole. */
  bigInt53: 4,
  /** The argument is the lower half; a third word is the upper one. */
  int64: 5,
  /** The next n hexadecimal digits of the shared text, sign included. */
  digits: 6,
  /** The next of `numbers`. */
  float: 7,
  /** The next n UTF-16 units of the shared text. */
  text: 8,
  /** As `text`, and remembered as the next key. */
  newKey: 9,
  /** A remembered key. */
  key: 10,
  /** A separate object: a long string, or a LentBuffer. */
  object: 11,
  /** A separate object: bytes; a third word is the struct format of their elements. */
  bytes: 12,
  /** A list: n values follow. */
  list: 13,
  /** A dict: n pairs of key and value follow. */
  dict: 14,
} as const

/** Largest buffer of words that is kept for the next value, in words. */
const MAX_KEPT_WORDS = 1_048_576

/** What the addon takes. Its arrays are read before the next value is encoded. */
export interface EncodedValue {
  readonly words: Uint32Array
  readonly wordCount: number
  readonly numbers: Float64Array
  readonly numberCount: number
  readonly text: string
  readonly objects: readonly (string | Uint8Array | LentBuffer)[]
}

/** Throws {@link RefusedValue} for what cannot cross, and what a getter throws. */
export function encodeValue(value: PyInput): EncodedValue {
  // A getter may make another call in the middle of this one.
  const encoder = idle.pop() ?? new Encoder()
  try {
    return encoder.encode(value)
  } finally {
    encoder.forget()
    if (encoder.words.length <= MAX_KEPT_WORDS) idle.push(encoder)
  }
}

/** Struct formats by the class of a view; other kinds of typed array do not cross. */
const FORMATS: Readonly<Record<string, string>> = {
  Uint8Array: 'B',
  Uint8ClampedArray: 'B',
  Int8Array: 'b',
  Int16Array: 'h',
  Uint16Array: 'H',
  Int32Array: 'i',
  Uint32Array: 'I',
  Float32Array: 'f',
  Float64Array: 'd',
  BigInt64Array: 'q',
  BigUint64Array: 'Q',
  DataView: 'B',
}

class Encoder {
  words = new Uint32Array(256)
  wordCount = 0
  numbers = new Float64Array(64)
  numberCount = 0
  text = ''
  objects: (string | Uint8Array | LentBuffer)[] = []
  readonly #keys = new Map<string, number>()
  /** The objects around the value at hand, outermost first. */
  readonly #around: object[] = []

  encode(value: unknown): EncodedValue {
    this.#value(value)
    const { words, wordCount, numbers, numberCount, text, objects } = this
    return { words, wordCount, numbers, numberCount, text, objects }
  }

  /** Resets the encoder; keeps no reference to the previous value: it may be memory that its owner lets go of. */
  forget(): void {
    this.wordCount = 0
    this.numberCount = 0
    this.text = ''
    if (this.objects.length > 0) this.objects = []
    this.#keys.clear()
    this.#around.length = 0
  }

  #value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        return this.#text(value)
      case 'number':
        return this.#number(value)
      case 'object':
        return value === null ? this.#put(OP.none, 0) : this.#object(value)
      case 'boolean':
        return this.#put(value ? OP.true : OP.false, 0)
      case 'undefined':
        return this.#put(OP.none, 0)
      case 'bigint':
        return this.#bigint(value)
      default:
        throw new RefusedValue(`a ${typeof value} cannot be passed to Python`)
    }
  }

  #number(value: number): void {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) return this.#float(value)
    if ((value | 0) === value) return this.#put(OP.int, value)
    this.#put(OP.bigInt53, 0)
    this.#putNumber(value)
  }

  #float(value: number): void {
    this.#put(OP.float, 0)
    this.#putNumber(value)
  }

  #bigint(value: bigint): void {
    if (BigInt.asIntN(64, value) === value) {
      this.#put(OP.int64, Number(BigInt.asUintN(32, value)))
      return this.#putWord(Number(BigInt.asUintN(32, value >> 32n)))
    }
    const digits = value.toString(16)
    this.text += digits
    this.#put(OP.digits, digits.length)
  }

  #text(value: string): void {
    if (value.length > MAX_POOLED_STRING || this.text.length > MAX_POOLED_TEXT) {
      return this.#put(OP.object, this.objects.push(value) - 1)
    }
    this.text += value
    this.#put(OP.text, value.length)
  }

  /** Keys repeat from one object to the next: each crosses once. */
  #key(key: string): void {
    const known = this.#keys.get(key)
    if (known !== undefined) return this.#put(OP.key, known)
    if (key.length > MAX_POOLED_STRING || this.text.length > MAX_POOLED_TEXT) return this.#text(key)
    this.#keys.set(key, this.#keys.size)
    this.text += key
    this.#put(OP.newKey, key.length)
  }

  #object(value: object): void {
    const around = this.#around
    if (around.length >= MAX_VALUE_DEPTH) {
      throw new RefusedValue(`nested deeper than ${MAX_VALUE_DEPTH} levels`)
    }
    // Ordinary data is shallow: it is spared the comparisons, and a cycle is met a little later.
    if (around.length >= CYCLE_CHECK_DEPTH && around.includes(value)) {
      throw new RefusedValue('an object that contains itself cannot be passed')
    }
    around.push(value)
    this.#composite(value)
    around.pop()
  }

  #composite(value: object): void {
    if (Array.isArray(value)) return this.#list(value)
    if (isPlain(value) && !isExternal(value)) return this.#fields(value)
    if (ArrayBuffer.isView(value)) return this.#bytes(value.buffer, value)
    if (isAnyArrayBuffer(value)) return this.#bytes(value)
    if (isMap(value)) return this.#map(value)
    if (value instanceof PyFloat) return this.#pyFloat(value)
    if (value instanceof LentBuffer) return this.#lent(value)
    if (isDate(value)) return this.#text(timestampText(value))
    if (isExternal(value)) throw new RefusedValue('a native object cannot be passed to Python')
    throw refusedObject(value, 'an array, a Map or a Uint8Array')
  }

  #list(items: readonly unknown[]): void {
    const count = items.length
    this.#put(OP.list, count)
    let i = 0
    try {
      for (; i < count; i++) this.#value(items[i])
    } catch (error) {
      throw placed(error, i)
    }
  }

  #fields(object: object): void {
    const fields = object as Readonly<Record<string, unknown>>
    const start = this.wordCount
    this.#put(OP.dict, 0)
    let count = 0
    let key = ''
    try {
      for (key of Object.keys(fields)) {
        const item = fields[key]
        // As in JSON.stringify: a property that is undefined is a property that is absent.
        if (item === undefined) continue
        this.#key(key)
        this.#value(item)
        count++
      }
    } catch (error) {
      throw placed(error, key)
    }
    this.words[start + 1] = count
  }

  #map(map: ReadonlyMap<unknown, unknown>): void {
    const start = this.wordCount
    this.#put(OP.dict, 0)
    const seen = new Set<string>()
    let count = 0
    for (const [key, item] of map) {
      if (typeof key === 'string') this.#key(key)
      else this.#otherKey(key, seen)
      count++
      try {
        this.#value(item)
      } catch (error) {
        throw placed(error, keyStep(key))
      }
    }
    this.words[start + 1] = count
  }

  #otherKey(key: unknown, seen: Set<string>): void {
    const isSimple = typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean'
    if (key !== null && !isSimple) {
      throw new RefusedValue(
        'a Map key must be a string, number, bigint, boolean or null to become a dict key',
      )
    }
    const same = key === null ? 'null' : sameInPython(key)
    if (seen.has(same)) {
      throw new RefusedValue('two keys of this Map are the same key in Python, as 1 and true are')
    }
    seen.add(same)
    this.#value(key)
  }

  #pyFloat({ value }: { readonly value: unknown }): void {
    if (typeof value !== 'number') throw new RefusedValue('a PyFloat must hold a number')
    this.#float(value)
  }

  #bytes(buffer: ArrayBufferLike, view?: ArrayBufferView): void {
    const format = view === undefined ? 'B' : FORMATS[kindOf(view)]
    if (format === undefined) {
      throw new RefusedValue('this kind of typed array cannot be passed to Python')
    }
    const bytes = viewOf(buffer, view)
    this.#put(OP.bytes, this.objects.push(bytes) - 1)
    this.#putWord(format.charCodeAt(0))
  }

  #lent(lent: LentBuffer): void {
    lent.checkFree()
    if (this.objects.includes(lent)) {
      throw new RefusedValue('this LentBuffer appears twice in the parameters')
    }
    this.#put(OP.object, this.objects.push(lent) - 1)
  }

  #put(op: number, argument: number): void {
    if (this.wordCount + 2 > this.words.length) this.#growWords()
    this.words[this.wordCount++] = op
    this.words[this.wordCount++] = argument
  }

  #putWord(word: number): void {
    if (this.wordCount === this.words.length) this.#growWords()
    this.words[this.wordCount++] = word
  }

  #putNumber(value: number): void {
    if (this.numberCount === this.numbers.length) {
      const grown = new Float64Array(this.numbers.length * 2)
      grown.set(this.numbers)
      this.numbers = grown
    }
    this.numbers[this.numberCount++] = value
  }

  #growWords(): void {
    const grown = new Uint32Array(this.words.length * 2)
    grown.set(this.words)
    this.words = grown
  }
}

const idle: Encoder[] = []

function placed(error: unknown, step: Step): unknown {
  return error instanceof RefusedValue ? error.within(step) : error
}

function keyStep(key: unknown): Step {
  if (typeof key === 'string') return key
  return Number.isSafeInteger(key) ? (key as number) : undefined
}

/** A text that two keys share when Python takes them for one: 1, 1.0 and True. */
function sameInPython(key: number | bigint | boolean): string {
  if (typeof key === 'bigint') return key.toString()
  const number = Number(key)
  return Number.isInteger(number) ? BigInt(number).toString() : number.toString()
}

function kindOf(view: ArrayBufferView): string {
  return (view as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] ?? ''
}

function viewOf(buffer: ArrayBufferLike, view?: ArrayBufferView): Uint8Array {
  if (isDetached(buffer)) {
    throw new RefusedValue('this buffer was transferred away and no longer holds bytes')
  }
  return new Uint8Array(buffer, view?.byteOffset ?? 0, view?.byteLength ?? buffer.byteLength)
}

/** `ArrayBuffer.prototype.detached`, which Node 20 lacks. */
function isDetached(buffer: ArrayBufferLike): boolean {
  if (buffer.byteLength > 0) return false
  try {
    new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
}
