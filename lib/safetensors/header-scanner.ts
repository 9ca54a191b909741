/**
 * Reads the JSON of a header from the front to the back, and builds nothing that the header does not need: a
 * hostile header of 100 MB costs about its own size. What is accepted is JSON as RFC 8259 has it.
 *
 * What may be long is read by a generator, which yields every few values, so that a reader can pause there.
 */

import { clip } from '../core/quoting.js'
import type { Steps } from '../core/steps.js'
import { isWellFormed } from '../json/wire.js'
import { MAX_HEADER_DEPTH, U64_MAX } from './constants.js'
import { SafetensorsHeaderError, type HeaderFault } from './errors.js'

/** Names of a path that a message shows. */
const MAX_SHOWN_PATH = 3

/** Values that are read between two yields: some microseconds. */
const VALUES_PER_STEP = 16

export class HeaderScanner {
  readonly #text: string
  #at = 0
  #depth = 0
  #values = 0
  /** Names of the fields that are being read, outermost first. */
  readonly #path: string[] = []

  constructor(text: string) {
    this.#text = text
  }

  /** Reads an object; `field` reads the value of each name. */
  *object(field: (name: string) => Steps | undefined): Steps {
    yield* this.#enclosed('{', '}', () => {
      const name = this.string()
      this.#expect(':', '":"')
      return this.#named(name, field)
    })
  }

  /** Reads an array; `item` reads each of its values. */
  array(item: () => Steps | undefined): Steps {
    return this.#enclosed('[', ']', item)
  }

  string(): string {
    this.#expect('"', 'a string')
    const start = this.#at - 1
    const end = endOfString(this.#text, start) + 1
    const literal = this.#text.slice(start, end)
    let value: string
    try {
      // Makes a copy too: a mere slice would keep the whole header in memory.
      value = JSON.parse(literal) as string
    } catch {
      return this.refuse('json', `the string ${clip(literal)} is not closed, or not valid JSON`)
    }
    // Only an escape can have made one: the bytes themselves are UTF-8.
    if (literal.includes('\\') && !isWellFormed(value)) {
      this.refuse('json', `the string ${clip(literal)} has a lone surrogate`)
    }
    this.#at = end
    return value
  }

  /**
   * Reads an integer from 0 to 2^64 - 1.
   *
   * @param fault what it is called beyond 2^53 - 1
   */
  unsigned(fault: 'dimension' | 'offset'): number {
    const token = this.#number()
    const value = Number(token)
    if (!/^\d+$/.test(token) || (value > Number.MAX_SAFE_INTEGER && !fitsU64(token))) {
      this.refuse('json', `${clip(token)} is not an integer from 0 to 2^64 - 1`)
    }
    if (value > Number.MAX_SAFE_INTEGER) this.refuse(fault, `${token} is beyond 2^53 - 1`)
    return value
  }

  /** Whether `null` comes next; if so, it is read. */
  null(): boolean {
    this.#skipSpace()
    return this.#word('null')
  }

  /** Reads any value and forgets it. */
  skip(): Steps | undefined {
    this.#skipSpace()
    const character = this.#text[this.#at]
    if (character === '{') return this.object(() => this.skip())
    if (character === '[') return this.array(() => this.skip())
    if (character === '"') this.string()
    else if (!this.#word('null') && !this.#word('true') && !this.#word('false')) this.#number()
    return undefined
  }

  /** Only white space may follow. */
  end(): void {
    this.#skipSpace()
    if (this.#at < this.#text.length) this.#unexpected('nothing more')
  }

  /** Stops reading; the message says where. */
  refuse(fault: HeaderFault, problem: string): never {
    const path = this.#path
      .slice(0, MAX_SHOWN_PATH)
      .map((name) => clip(name))
      .join('.')
    const place = path === '' ? '' : ` in ${path}`
    throw new SafetensorsHeaderError(fault, `${problem}${place}, at position ${this.#at}`)
  }

  /** Calls for the value of a name; the path holds it until that is read. */
  #named(name: string, field: (name: string) => Steps | undefined): Steps | undefined {
    this.#path.push(name)
    const steps = field(name)
    if (steps !== undefined) return this.#stepsOf(steps)
    this.#path.pop()
    return undefined
  }

  *#stepsOf(steps: Steps): Steps {
    yield* steps
    this.#path.pop()
  }

  *#enclosed(open: string, close: string, item: () => Steps | undefined): Steps {
    this.#expect(open, `"${open}"`)
    if (++this.#depth > MAX_HEADER_DEPTH) {
      this.refuse('json', `values are nested deeper than ${MAX_HEADER_DEPTH} levels`)
    }
    if (!this.#accept(close)) {
      do {
        const steps = item()
        if (steps !== undefined) yield* steps
        if (++this.#values % VALUES_PER_STEP === 0) yield
      } while (this.#accept(','))
      this.#expect(close, `"," or "${close}"`)
    }
    this.#depth--
  }

  #number(): string {
    this.#skipSpace()
    const start = this.#at
    let end = start
    while (isNumberCharacter(this.#text.charCodeAt(end))) end++
    const token = this.#text.slice(start, end)
    if (!/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(token)) this.#unexpected('a value')
    if (!Number.isFinite(Number(token))) {
      this.refuse('json', `the number ${clip(token)} is out of range`)
    }
    this.#at = end
    return token
  }

  #word(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false
    this.#at += word.length
    return true
  }

  #accept(character: string): boolean {
    this.#skipSpace()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #expect(character: string, what: string): void {
    if (!this.#accept(character)) this.#unexpected(what)
  }

  #unexpected(what: string): never {
    const found =
      this.#at < this.#text.length ? clip(this.#text.slice(this.#at, this.#at + 20)) : 'the end'
    return this.refuse('json', `expected ${what}, found ${found}`)
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
      this.#at++
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

/** Whether digits give at most 2^64 - 1. */
function fitsU64(digits: string): boolean {
  return digits.length <= U64_MAX.toString().length && BigInt(digits) <= U64_MAX
}

/** Digits, `+`, `-`, `.`, `e` and `E`. */
function isNumberCharacter(code: number): boolean {
  return (
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2b ||
    code === 0x2d ||
    code === 0x2e ||
    code === 0x45 ||
    code === 0x65
  )
}
