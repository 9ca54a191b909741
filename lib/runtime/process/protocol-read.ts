/**
 * Values out of the JSON of a worker, with int and float kept apart.
 *
 * A separate reader beside that of lib/json, because Python's JSON is more than that of the
 * formats: NaN and infinities have tokens, an int has any size, a str may hold a lone surrogate.
 */
import { MAX_INTEGER_DIGITS } from './constants.js'
import { MAX_VALUE_DEPTH, type PyValue } from '../values.js'

/** The response around the result is one more level. */
const MAX_DEPTH = MAX_VALUE_DEPTH + 1

const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const WORD = /-?[A-Za-z]+/y
const WORDS = new Map<string, null | boolean | number>([
  ['null', null],
  ['true', true],
  ['false', false],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
])

/** Parses the UTF-8 bytes of one JSON text. Throws SyntaxError, with the position where there is one. */
export function readPythonJson(bytes: Uint8Array): PyValue {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new SyntaxError('the bytes are not UTF-8', { cause })
  }
  return new Reader(text).whole()
}

class Reader {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  whole(): PyValue {
    const value = this.#value()
    if (this.#next() !== undefined) throw this.#unexpected('the end')
    return value
  }

  #value(): PyValue {
    const character = this.#next()
    if (character === '{') return this.#nested(() => this.#object())
    if (character === '[') return this.#nested(() => this.#array())
    if (character === '"') return this.#string()
    const word = this.#match(WORD)
    if (word === undefined) return this.#number()
    const value = WORDS.get(word[0])
    if (value === undefined) {
      this.#at -= word[0].length
      throw this.#unexpected('a value')
    }
    return value
  }

  #nested<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) throw new SyntaxError(`nested deeper than ${MAX_DEPTH} levels`)
    this.#at++
    const value = read()
    this.#depth--
    return value
  }

  #object(): Record<string, PyValue> {
    const object: Record<string, PyValue> = {}
    for (let first = true; !this.#ends('}', first); first = false) {
      if (this.#next() !== '"') throw this.#unexpected('a key')
      const key = this.#string()
      if (Object.hasOwn(object, key)) throw new SyntaxError(`the key ${quoted(key)} appears twice`)
      if (this.#next() !== ':') throw this.#unexpected('":"')
      this.#at++
      const value = this.#value()
      if (key !== '__proto__') object[key] = value
      else Object.defineProperty(object, key, { ...OWN_FIELD, value })
    }
    return object
  }

  #array(): PyValue[] {
    const items: PyValue[] = []
    for (let first = true; !this.#ends(']', first); first = false) items.push(this.#value())
    return items
  }

  /** Steps over the closing bracket and answers true, or over the comma before the next item. */
  #ends(bracket: string, first: boolean): boolean {
    const character = this.#next()
    if (character === bracket) {
      this.#at++
      return true
    }
    if (first) return false
    if (character !== ',') throw this.#unexpected(`"," or "${bracket}"`)
    this.#at++
    return false
  }

  #string(): string {
    const start = this.#at
    let end = this.#text.indexOf('"', start + 1)
    while (end !== -1 && this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1)
    if (end === -1) throw new SyntaxError(`the string at position ${start} has no end`)
    this.#at = end + 1
    return JSON.parse(this.#text.slice(start, this.#at)) as string
  }

  #isEscaped(quote: number): boolean {
    let backslashes = 0
    while (this.#text[quote - 1 - backslashes] === '\\') backslashes++
    return backslashes % 2 === 1
  }

  #number(): bigint | number {
    const match = this.#match(NUMBER)
    if (match === undefined) throw this.#unexpected('a value')
    const [text, fraction, exponent] = match
    if (fraction !== undefined || exponent !== undefined) return Number(text)
    if (text.length > MAX_INTEGER_DIGITS + 1) {
      throw new SyntaxError(`an integer has ${text.length} digits, more than ${MAX_INTEGER_DIGITS}`)
    }
    return BigInt(text)
  }

  /** The next character that is no white space; undefined at the end. */
  #next(): string | undefined {
    this.#match(SPACE)
    return this.#text[this.#at]
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.#at += match[0].length
    return match
  }

  #unexpected(wanted: string): SyntaxError {
    const found = this.#text.slice(this.#at, this.#at + 20)
    return new SyntaxError(
      `expected ${wanted} at position ${this.#at}, got ${found === '' ? 'the end' : quoted(found)}`,
    )
  }
}

/** Plain assignment to `__proto__` would set the prototype. */
const OWN_FIELD = { writable: true, enumerable: true, configurable: true }

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 80))
}
