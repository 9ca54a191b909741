/**
 * A JSON parser that keeps integer and float apart, and refuses what two readers could understand differently.
 *
 * JSON.parse does neither: Node 20's gives no token texts, and of equal keys it keeps the last. Time and memory are
 * linear in the text. Open arrays and objects are kept on an explicit stack, so that parsing can pause anywhere.
 */

import { MAX_JSON_DEPTH } from './constants.js'
import { clip } from '../core/quoting.js'
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

/** Parses one text. */
export class JsonParser {
  readonly #text: string
  /** Whether only an escape can make a lone surrogate. */
  readonly #isWellFormed: boolean
  readonly #open: (OpenArray | OpenObject)[] = []
  /** By depth, the keys of the object before: the next one of a list most likely has the same. */
  readonly #usualKeys: string[][] = []
  #at = 0
  #result: JsonValue | undefined

  constructor(text: string) {
    this.#text = text
    this.#isWellFormed = isWellFormed(text)
  }

  /**
   * Parses to the end of the text, or `values` values further.
   *
   * @returns the value of the whole text, or undefined when there is more to parse
   * @throws SyntaxError
   */
  run(maxValues = Infinity): JsonValue | undefined {
    for (let count = 0; count < maxValues && this.#result === undefined; count++) this.#value()
    return this.#result
  }

  /** Reads a scalar, or the start of an array or object. */
  #value(): void {
    const code = this.#next()
    if (code === CODE.quote) this.#add(this.#string())
    else if (code === CODE.brace) this.#object()
    else if (code === CODE.bracket) this.#array()
    else if (code === CODE.minus || (code >= CODE.zero && code <= CODE.nine)) {
      this.#add(this.#number())
    } else this.#add(this.#word())
  }

  #array(): void {
    const open = new OpenArray()
    this.#enter(open)
    if (this.#next() === open.end) this.#leave(open)
  }

  #object(): void {
    const open = new OpenObject((this.#usualKeys[this.#open.length] ??= []))
    this.#enter(open)
    if (this.#next() === open.end) this.#leave(open)
    else this.#key(open)
  }

  #enter(open: OpenArray | OpenObject): void {
    if (this.#open.length === MAX_JSON_DEPTH) {
      throw new SyntaxError(`nested deeper than ${MAX_JSON_DEPTH} levels at position ${this.#at}`)
    }
    this.#open.push(open)
    this.#at++
  }

  #leave(open: OpenArray | OpenObject): void {
    this.#open.pop()
    this.#at++
    this.#add(open.value)
  }

  /** Puts a complete value where it belongs, and reads on to where the next one starts. */
  #add(value: JsonValue): void {
    const open = this.#open.at(-1)
    if (open === undefined) {
      if (!Number.isNaN(this.#next())) throw this.#unexpected('the end')
      this.#result = value
      return
    }
    open.add(value)
    const code = this.#next()
    if (code === open.end) {
      this.#leave(open)
      return
    }
    if (code !== CODE.comma) {
      throw this.#unexpected(`"," or "${String.fromCharCode(open.end)}"`)
    }
    this.#at++
    if (open instanceof OpenObject) this.#key(open)
  }

  #key(open: OpenObject): void {
    if (this.#next() !== CODE.quote) throw this.#unexpected('a key in double quotes')
    const start = this.#at
    const usual = open.usualKey
    const end = usual === undefined ? start : start + 1 + usual.length
    if (this.#text.charCodeAt(end) === CODE.quote && this.#text.slice(start + 1, end) === usual) {
      this.#at = end + 1
      open.takeUsualKey()
    } else {
      const key = this.#string()
      if (Object.hasOwn(open.value, key)) {
        throw new SyntaxError(`duplicate key ${clip(key)} at position ${start}`)
      }
      open.takeKey(key, this.#at - start === key.length + 2)
    }
    if (this.#next() !== CODE.colon) throw this.#unexpected('":"')
    this.#at++
  }

  #word(): boolean | null {
    const word = WORDS.find(([name]) => this.#text.startsWith(name, this.#at))
    if (!word) throw this.#unexpected('a value')
    this.#at += word[0].length
    return word[1]
  }

  #number(): bigint | number {
    NUMBER.lastIndex = this.#at
    if (!NUMBER.test(this.#text)) {
      this.#at++
      throw this.#unexpected('a digit')
    }
    const token = this.#text.slice(this.#at, NUMBER.lastIndex)
    this.#at = NUMBER.lastIndex
    return numberOf(token)
  }

  #string(): string {
    const start = this.#at
    const end = this.#endOfPlain(start + 1)
    if (this.#text.charCodeAt(end) !== CODE.quote) return this.#escapedString(end)
    this.#at = end + 1
    const value = ownCopy(this.#text.slice(start + 1, end))
    if (!this.#isWellFormed) checkSurrogates(value, start)
    return value
  }

  /** Reads the rest of a string that is plain up to `end`. */
  #escapedString(end: number): string {
    const start = this.#at
    while (this.#text.charCodeAt(end) === CODE.backslash) end = this.#endOfPlain(end + 2)
    if (this.#text.charCodeAt(end) !== CODE.quote) {
      this.#at = end
      throw this.#unexpected('the rest of a string')
    }
    this.#at = end + 1
    const literal = this.#text.slice(start, end + 1)
    let value: string
    try {
      value = JSON.parse(literal) as string
    } catch (error) {
      const what = `the string ${clip(literal)} at position ${start} has an unknown escape`
      throw new SyntaxError(what, { cause: error })
    }
    checkSurrogates(value, start)
    return value
  }

  /** Index of the next quote, backslash or control character. */
  #endOfPlain(from: number): number {
    PLAIN.lastIndex = from
    return PLAIN.test(this.#text) ? PLAIN.lastIndex : this.#text.length
  }

  /** The code of the next character that is not white space; NaN at the end. */
  #next(): number {
    let code = this.#text.charCodeAt(this.#at)
    while (
      code === CODE.space ||
      code === CODE.newline ||
      code === CODE.tab ||
      code === CODE.return
    ) {
      code = this.#text.charCodeAt(++this.#at)
    }
    return code
  }

  #unexpected(expected: string): SyntaxError {
    const point = this.#text.codePointAt(this.#at)
    const found = point === undefined ? 'the end of the text' : clip(String.fromCodePoint(point))
    return new SyntaxError(`expected ${expected} at position ${this.#at}, got ${found}`)
  }
}

const CODE = {
  tab: 0x09,
  newline: 0x0a,
  return: 0x0d,
  space: 0x20,
  quote: 0x22,
  comma: 0x2c,
  minus: 0x2d,
  zero: 0x30,
  nine: 0x39,
  colon: 0x3a,
  bracket: 0x5b,
  backslash: 0x5c,
  endBracket: 0x5d,
  brace: 0x7b,
  endBrace: 0x7d,
} as const

const WORDS = [
  ['null', null],
  ['true', true],
  ['false', false],
] as const

// Sticky: each matches at its lastIndex only, so that no text is looked at twice.
// eslint-disable-next-line no-control-regex -- JSON forbids them in strings
const PLAIN = /[^"\\\u0000-\u001f]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y

class OpenArray {
  readonly end = CODE.endBracket
  readonly value: JsonValue[] = []

  add(value: JsonValue): void {
    this.value.push(value)
  }
}

class OpenObject {
  readonly end = CODE.endBrace
  readonly value: Record<string, JsonValue> = {}
  /** The first `#count` are this object's, the others, if any, are those that usually follow. All differ. */
  readonly #keys: string[]
  #count = 0
  #key = ''

  constructor(usualKeys: string[]) {
    this.#keys = usualKeys
  }

  get usualKey(): string | undefined {
    return this.#keys[this.#count]
  }

  /** The next key is the usual one, so that it has not been here before. */
  takeUsualKey(): void {
    this.#key = this.#keys[this.#count++] ?? ''
  }

  /** The next key is another. One that has escapes cannot be recognised by its text, so it is not kept. */
  takeKey(key: string, isPlain: boolean): void {
    this.#key = key
    this.#keys.length = this.#count
    if (isPlain) this.#count = this.#keys.push(key)
  }

  add(value: JsonValue): void {
    if (this.#key === '__proto__') define(this.value, this.#key, value)
    else this.value[this.#key] = value
  }
}

/** Sets an own property where an assignment would change the prototype. */
function define(object: object, key: string, value: unknown): void {
  const descriptor = { value, enumerable: true, configurable: true, writable: true }
  Object.defineProperty(object, key, descriptor)
}

/** An integer outside this range is read as a float. */
const I64_MIN = -(2n ** 63n)
const U64_MAX = 2n ** 64n - 1n
/** Digits of the longest integer in range; longer ones are not worth the cost of a bigint. */
const MAX_INTEGER_LENGTH = U64_MAX.toString().length

function numberOf(token: string): bigint | number {
  const float = Number(token)
  if (token.length <= MAX_INTEGER_LENGTH && !/[.eE]/.test(token) && token !== '-0') {
    if (Number.isSafeInteger(float)) return BigInt(float)
    const integer = BigInt(token)
    if (integer >= I64_MIN && integer <= U64_MAX) return integer
  }
  if (!Number.isFinite(float)) throw new SyntaxError(`the number ${clip(token)} is out of range`)
  return float
}

/** A slice of a text that does not keep the whole text in memory, as slices of 13 characters and more do. */
function ownCopy(slice: string): string {
  return slice.length < 13 ? slice : ` ${slice}`.slice(1)
}

function checkSurrogates(value: string, position: number): void {
  if (isWellFormed(value)) return
  throw new SyntaxError(`the string ${clip(value)} at position ${position} has a lone surrogate`)
}
