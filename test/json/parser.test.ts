import assert from 'node:assert/strict'

import fc from 'fast-check'

import { ConfigError } from '../../lib/errors.js'
import { json, MAX_JSON_DEPTH, parseJson, type JsonValue } from '../../lib/schema/index.js'
import { JsonParser } from '../../lib/json/parser.js'
import { jsons } from '../schema/support/arbitraries.js'
import { runs } from '../support/runs.js'

/**
 * Whether a text that JSON.parse accepts must be refused all the same, restated on what JSON.parse made of it: a
 * lone surrogate, infinity and depth show in the value, a duplicate key in that the text has more keys than it.
 */
function breaksExtraRules(source: string, parsed: unknown): boolean {
  let keys = 0
  const visit = (value: unknown, depth: number): boolean => {
    if (typeof value === 'string') return /\p{Surrogate}/u.test(value)
    if (typeof value === 'number') return !Number.isFinite(value)
    if (typeof value !== 'object' || value === null) return false
    if (depth === MAX_JSON_DEPTH) return true
    if (Array.isArray(value)) return value.some((item) => visit(item, depth + 1))
    keys += Object.keys(value).length
    return Object.entries(value).some(([key, item]) => visit(key, 0) || visit(item, depth + 1))
  }
  if (visit(parsed, 0)) return true
  const literals = [...source.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)]
  return literals.filter(([, colon]) => colon !== undefined).length > keys
}

const EXTRA_RULES = /duplicate key|lone surrogate|out of range|nested deeper/

/** The value as JSON.parse would give it. */
function plain(value: JsonValue): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => plain(item as JsonValue))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

/**
 * Whether JSON.parse of this engine takes an escaped key for another that it has seen: once the V8 of Node 24 and 26
 * has read `{"a":1,"\\":1}`, it reads the second key of `{"a":1,"\b":1}` as a backslash.
 */
const engineMisreadsKeys = (() => {
  JSON.parse(String.raw`{"a":1,"\\":1}`)
  return !Object.hasOwn(JSON.parse(String.raw`{"a":1,"\b":1}`) as object, '\b')
})()

const ESCAPED_KEY = /"[^"\\]*\\.(?:[^"\\]|\\.)*"\s*:/

/** Checks one text against JSON.parse and the extra rules; says whether it was accepted. */
function compare(source: string): boolean {
  if (engineMisreadsKeys && ESCAPED_KEY.test(source)) return accepts(source)
  let parsed: unknown
  try {
    parsed = JSON.parse(source)
  } catch {
    assert.throws(() => parseJson(source), ConfigError)
    return false
  }
  if (breaksExtraRules(source, parsed)) {
    assert.throws(() => parseJson(source), EXTRA_RULES)
    return false
  }
  assert.deepEqual(plain(parseJson(source)), parsed)
  return true
}

/** Whether a text is accepted, without an oracle: what is refused is refused by a typed error. */
function accepts(source: string): boolean {
  try {
    parseJson(source)
    return true
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return false
  }
}

/** Texts that are JSON, or nearly. */
const jsonTexts = fc
  .tuple(jsons, fc.boolean())
  .map(([value, pretty]) => json.toJson(value, { pretty }))

const pieces = fc.constantFrom(
  ...['{', '}', '[', ']', ':', ',', '"', '\\', '\\u', '\\ud800', '\\udc00', '\\"', ' ', '\n', '\t'],
  ...['-', '0', '1', '.', 'e', '+', '1e400', '"a"', '"a":', '"\\u0061":', 'null', 'tru', '\0'],
  ...['\ud83d', '\ude00', '\ufeff', '/'],
)

describe('the JSON parser', () => {
  it('reads what JSON.parse reads, to the same value', () => {
    fc.assert(
      fc.property(jsonTexts, (source) => assert(compare(source))),
      { numRuns: runs(1000) },
    )
  })

  it('accepts and refuses what JSON.parse does, but for the extra rules, however a text is damaged', () => {
    const damages = fc.array(fc.tuple(fc.nat(), fc.nat(4), pieces), { minLength: 1, maxLength: 3 })
    fc.assert(
      fc.property(jsonTexts, damages, (source, edits) => {
        let damaged = source
        for (const [at, cut, piece] of edits) {
          const start = at % (damaged.length + 1)
          damaged = damaged.slice(0, start) + piece + damaged.slice(start + cut)
        }
        compare(damaged)
      }),
      { numRuns: runs(5000) },
    )
  })

  it('does so for texts made of tokens', () => {
    const counts = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (tokens) => {
        counts[compare(tokens.join('')) ? 'accepted' : 'refused']++
      }),
      { numRuns: runs(5000) },
    )
    assert(counts.accepted > 10 && counts.refused > 10)
  })

  it('finds every duplicate key among records that look alike', () => {
    const keys = fc.constantFrom(
      ...['a', 'b', 'c', '\\u0061', 'a\\"', '\\b', '__proto__', '1', '0', '\\\\', '\\"'],
    )
    const objects = fc
      .array(fc.tuple(keys, fc.constantFrom('1', '{"a":1}', '[{"b":2,"a":0}]')), { maxLength: 5 })
      .map((fields) => `{${fields.map(([key, item]) => `"${key}":${item}`).join(',')}}`)
    const counts = { accepted: 0, refused: 0 }
    fc.assert(
      fc.property(fc.array(objects, { maxLength: 6 }), (items) => {
        counts[compare(`[${items.join(',')}]`) ? 'accepted' : 'refused']++
      }),
      { numRuns: runs(5000) },
    )
    assert(counts.accepted > 100 && counts.refused > 100)
  })

  it('reads a number token as an integer exactly when it has only digits and is in range', () => {
    const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,21})$/)
    const tokens = fc.oneof(digits, fc.stringMatching(/^-?(0|[1-9]\d{0,3})(\.\d{1,3})?(e-?\d)?$/))
    fc.assert(
      fc.property(tokens, (token) => {
        const value = parseJson(`[${token}]`)
        const isInteger = /^-?\d+$/.test(token) && token !== '-0'
        const exact = isInteger ? BigInt(token) : undefined
        const inRange = exact !== undefined && exact >= -(2n ** 63n) && exact < 2n ** 64n
        assert.deepEqual(value, [inRange ? exact : Number(token)])
      }),
      { numRuns: runs(2000) },
    )
  })

  it('comes to the same result in steps as at once', () => {
    fc.assert(
      fc.property(jsonTexts, fc.integer({ min: 1, max: 5 }), (source, step) => {
        const parser = new JsonParser(source)
        let result: JsonValue | undefined
        while (result === undefined) result = parser.run(step)
        assert.deepEqual(result, parseJson(source))
      }),
      { numRuns: runs(100) },
    )
  })

  it('takes time in proportion to the text, whatever it is made of', () => {
    const size = 1_000_000
    const sources = [
      `"${'x'.repeat(size)}"`,
      `"${'\\n'.repeat(size)}"`,
      `"${'\\'.repeat(size)}"`,
      `"${'\\'.repeat(size)}`,
      `[${'"",'.repeat(size)}""]`,
      `[${'{},'.repeat(size)}{}]`,
      `[${' '.repeat(size)}]`,
      `-${'1'.repeat(size)}`,
      `0.${'1'.repeat(size)}`,
      `1e${'0'.repeat(size)}`,
      `[${'[['.repeat(60)}${'{"a":1,"b":2},'.repeat(size / 10)}`,
      `{${Array.from({ length: size / 5 }, (_, index) => `"key${index}":1`).join(',')}}`,
      `[${Array.from({ length: size / 10 }, (_, index) => `{"key${index}":1,"a":2}`).join(',')}]`,
    ]
    for (const source of sources) {
      const start = performance.now()
      try {
        parseJson(source)
      } catch (error) {
        assert(error instanceof ConfigError)
      }
      const milliseconds = performance.now() - start
      assert(milliseconds < 3000, `${source.slice(0, 20)} took ${milliseconds} ms`)
    }
  })

  it('says where a text goes wrong, and what was expected', () => {
    const complaints: [string, string][] = [
      ['[1 2]', 'expected "," or "]" at position 3, got "2"'],
      ['{"a" 1}', 'expected ":" at position 5, got "1"'],
      ['{"a":1,}', 'expected a key in double quotes at position 7, got "}"'],
      ['{"a":nil}', 'expected a value at position 5, got "n"'],
      ['[1', 'expected "," or "]" at position 2, got the end of the text'],
      ['-x', 'expected a digit at position 1, got "x"'],
      ['"a\nb"', 'expected the rest of a string at position 2, got "\\n"'],
      ['"a\\qb"', 'the string "\\"a\\\\qb\\"" at position 0 has an unknown escape'],
      ['1 😀', 'expected the end at position 2, got "😀"'],
      ['', 'expected a value at position 0, got the end of the text'],
    ]
    for (const [source, message] of complaints) {
      assert.throws(() => parseJson(source, 'thing'), {
        message: `Cannot read thing:\n  ${message}`,
      })
    }
  })

  it('gives strings that do not keep the whole text in memory', () => {
    const { gc } = globalThis
    assert(gc, 'needs --expose-gc')
    gc()
    const before = process.memoryUsage().heapUsed
    const kept = Array.from({ length: 64 }, (_, index) => {
      const source = JSON.stringify([`kept ${index} `.repeat(4), 'x'.repeat(1_000_000)])
      return (parseJson(source) as string[])[0]
    })
    gc()
    const grown = process.memoryUsage().heapUsed - before
    assert.equal(kept.length, 64)
    assert(grown < 32_000_000, `${grown} bytes`)
  })
})
