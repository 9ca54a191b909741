import assert from 'node:assert/strict'

import fc from 'fast-check'

import { ConfigError } from '../../lib/errors.js'
import {
  bytes,
  compareUtf8,
  f32Array,
  json,
  jsonFrom,
  parseJson,
  text,
  type JsonValue,
} from '../../lib/schema/index.js'
import { MAX_JSON_DEPTH } from '../../lib/json/constants.js'
import { jsons } from './support/arbitraries.js'
import { runs } from '../support/runs.js'

const refuses = (source: string | Uint8Array, reason: RegExp) =>
  assert.throws(
    () => parseJson(source, 'thing'),
    (error: unknown) => {
      assert(error instanceof ConfigError)
      assert.match(error.message, /^Cannot read thing:/)
      assert.match(error.message, reason)
      return true
    },
  )

/** The value as JSON.parse would give it. */
function plain(value: JsonValue): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => plain(item as JsonValue))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
}

describe('reading JSON', () => {
  it('keeps integers and floats apart', () => {
    assert.deepEqual(parseJson('[1, 1.0, -1, 1e2, 1E-2, -0.0, 0]'), [1n, 1, -1n, 100, 0.01, -0, 0n])
  })

  it('keeps every integer of i64 and u64 exact, and reads larger ones as floats', () => {
    assert.deepEqual(
      parseJson(
        '[18446744073709551615, 18446744073709551616, -9223372036854775808, -9223372036854775809]',
      ),
      [2n ** 64n - 1n, 2 ** 64, -(2n ** 63n), -(2 ** 63)],
    )
  })

  it('reads -0 as a float, since no integer is negative zero', () => {
    assert.deepEqual(parseJson('-0'), -0)
  })

  it('reads an integer of a million digits quickly, as out of range', () => {
    const start = performance.now()
    refuses('9'.repeat(1_000_000), /number "9{80}"… \(1000000 characters\) is out of range/)
    assert(performance.now() - start < 2000)
  })

  for (const token of ['NaN', 'Infinity', '-Infinity', 'nan', '1e999', '-1e999']) {
    it(`refuses the number ${token}`, () => refuses(token, /Cannot read/))
  }

  for (const source of [
    '',
    ' ',
    '{',
    '[1,]',
    '{"a":1,}',
    '01',
    '1.',
    '.5',
    '+1',
    "'a'",
    '{a:1}',
    '[1] 2',
    'nul',
    '"\t"',
    '"\\x"',
    '//',
    '\ufeff1',
  ]) {
    it(`refuses ${JSON.stringify(source)}`, () => refuses(source, /Cannot read/))
  }

  it('refuses a key that comes twice, whether the values differ or not', () => {
    refuses('{"a":1,"a":2}', /duplicate key "a" at position 7/)
    refuses('{"a":1,"a":1}', /duplicate key "a"/)
    refuses('[{"b":{"a":null , "\\u0061" : null}}]', /duplicate key "a"/)
  })

  it('lets equal keys stand in different objects, and equal strings anywhere', () => {
    assert.deepEqual(parseJson('[{"a":"a"},{"a":["a","a"]},{"b":{"b":"b"}}]'), [
      { a: 'a' },
      { a: ['a', 'a'] },
      { b: { b: 'b' } },
    ])
  })

  it('refuses nesting beyond the limit instead of overflowing the stack', () => {
    const nest = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
    assert.doesNotThrow(() => parseJson(nest(MAX_JSON_DEPTH)))
    refuses(nest(MAX_JSON_DEPTH + 1), /nested deeper than 127 levels at position 127/)
    refuses(nest(5_000_000), /nested deeper/)
    refuses('{"a":'.repeat(1_000_000), /nested deeper/)
  })

  it('does not count brackets inside strings as nesting', () => {
    const brackets = '[{'.repeat(500)
    assert.equal(parseJson(JSON.stringify(`${brackets}\\"`)), `${brackets}\\"`)
  })

  it('refuses a text larger than its limit before looking at it', () => {
    assert.throws(() => parseJson('[1,2]', 'thing', { maxBytes: 4 }), /5 bytes .* limit of 4/)
    assert.deepEqual(parseJson('[1,2]', 'thing', { maxBytes: 5 }), [1n, 2n])
  })

  it('reads UTF-8 bytes and refuses bytes that are not', () => {
    assert.equal(parseJson(Buffer.from('"é😀"')), 'é😀')
    refuses(Uint8Array.of(0x22, 0xff, 0x22), /not UTF-8/)
    refuses(Uint8Array.of(0xef, 0xbb, 0xbf, 0x31), /Cannot read/)
  })

  it('refuses lone surrogates, raw and escaped, in values and keys', () => {
    refuses('"\ud800"', /lone surrogate/)
    refuses('"\\ud800"', /lone surrogate/)
    refuses('{"\\udc00x":1}', /lone surrogate/)
    assert.equal(parseJson('"\\ud83d\\ude00"'), '😀')
  })

  it('reads __proto__ as an ordinary key that changes no prototype', () => {
    const value = parseJson('{"__proto__":{"polluted":true},"a":{"__proto__":1}}')
    assert.equal(Object.getPrototypeOf(value), Object.prototype)
    assert.equal((value as Record<string, unknown>).polluted, undefined)
    assert.deepEqual(Object.keys(value as object), ['__proto__', 'a'])
    assert.equal(({} as Record<string, unknown>).polluted, undefined)
  })
})

describe('writing JSON', () => {
  it('is compact without white space and pretty with two spaces, as the reference writes it', () => {
    const value = jsonFrom({ b: [], a: {}, c: [1, [2.5], { x: null }] })
    assert.equal(json.toJson(value), '{"a":{},"b":[],"c":[1,[2.5],{"x":null}]}')
    assert.equal(
      json.toJson(value, { pretty: true }),
      [
        '{',
        '  "a": {},',
        '  "b": [],',
        '  "c": [',
        '    1,',
        '    [',
        '      2.5',
        '    ],',
        '    {',
        '      "x": null',
        '    }',
        '  ]',
        '}',
      ].join('\n'),
    )
  })

  it('escapes quotes, backslashes and control characters, and nothing else', () => {
    assert.equal(
      text.toJson('\0\u0007\b\t\n\u000b\f\r\u001f\u007f\u2028/"\\é😀'),
      '"\\u0000\\u0007\\b\\t\\n\\u000b\\f\\r\\u001f\u007f\u2028/\\"\\\\é😀"',
    )
  })

  it('writes NaN and infinities as null', () => {
    assert.equal(json.toJson([NaN, Infinity, -Infinity]), '[null,null,null]')
  })

  it('writes bytes and 32-bit floats as arrays of numbers', () => {
    assert.equal(bytes.toJson(Uint8Array.of(0, 200, 255)), '[0,200,255]')
    assert.equal(f32Array.toJson(Float32Array.of(0.1, 3, NaN)), '[0.1,3.0,null]')
    assert.deepEqual(bytes.fromJson('[0,200,255]'), Uint8Array.of(0, 200, 255))
    assert.deepEqual(f32Array.fromJson('[0.1,3]'), Float32Array.of(0.1, 3))
    assert.deepEqual(f32Array.fromJson('[3.4028235e38]'), Float32Array.of(3.4028235e38))
    assert.throws(
      () => f32Array.fromJson('[1,-1e39]'),
      /\[1\]: expected .* 32-bit float, got -1e\+?39/,
    )
    assert.throws(
      () => bytes.fromJson('[0,256]'),
      /\[1\]: expected an integer from 0 to 255, got 256/,
    )
  })

  it('sorts the keys of free JSON by their UTF-8 bytes', () => {
    assert.equal(
      json.toJson({ '\u{10000}': 1n, '\uffff': 2n, 9: 3n, 10: 4n }),
      '{"10":4,"9":3,"\uffff":2,"\u{10000}":1}',
    )
  })

  it('gives the same bytes in pieces', () => {
    fc.assert(
      fc.property(jsons, fc.boolean(), (value, pretty) => {
        const pieces = [...json.toJsonPieces(value, { pretty })]
        assert.equal(Buffer.concat(pieces).toString(), json.toJson(value, { pretty }))
      }),
      { numRuns: runs(500) },
    )
  })

  it('cuts the pieces between the entries of a record, and refuses a value before the first', () => {
    const record = (item: JsonValue) => ({ entries: Array<JsonValue>(5000).fill(item), name: 'n' })
    const pieces = [...json.toJsonPieces(record({ text: 'x'.repeat(1000) }))]
    assert(pieces.length > 10 && pieces.every((piece) => piece.length < 300_000))
    assert.equal(
      Buffer.concat(pieces).toString(),
      JSON.stringify(record({ text: 'x'.repeat(1000) })),
    )
    assert.throws(() => json.toJsonPieces(record('\ud800')), /lone surrogate/)
  })

  it('refuses what is not JSON, and names where it is', () => {
    const circle: unknown[] = []
    circle.push(circle)
    assert.throws(
      () => json.toJson(circle as unknown as JsonValue),
      /nested deeper than 127 levels, or circular/,
    )
    assert.throws(() => json.toJson(2n ** 64n), /18446744073709551616 is outside/)
    assert.throws(() => json.toJson({ a: '\ud800' }), /lone surrogate/)
    assert.throws(
      () => json.toJson([undefined] as unknown as JsonValue),
      /expected a JSON value, got nothing/,
    )
  })

  it('can be read back to the same value', () => {
    fc.assert(
      fc.property(jsons, fc.boolean(), (value, pretty) => {
        assert.deepEqual(json.fromJson(json.toJson(value, { pretty })), value)
      }),
      { numRuns: runs(1000) },
    )
  })

  it('means the same to JSON.parse', () => {
    fc.assert(
      fc.property(jsons, (value) => {
        assert.deepEqual(JSON.parse(json.toJson(value)), plain(value))
      }),
      { numRuns: runs(500) },
    )
  })

  it('lays pretty text out as JSON.stringify does', () => {
    // Neither whole floats nor keys such as "10", which JSON.stringify prints differently.
    const alike = (value: unknown): unknown => {
      if (typeof value === 'number') return 7
      if (typeof value !== 'object' || value === null) return value
      if (Array.isArray(value)) return value.map(alike)
      const entries = Object.entries(value).sort(([a], [b]) => compareUtf8(a, b))
      return Object.fromEntries(entries.map(([key, item]) => [`k${key}`, alike(item)]))
    }
    fc.assert(
      fc.property(jsons, (value) => {
        const tidy = alike(plain(value))
        const written = json.toJson(jsonFrom(tidy), { pretty: true })
        assert.equal(written, JSON.stringify(tidy, null, 2))
      }),
      { numRuns: runs(200) },
    )
  })
})

describe('jsonFrom', () => {
  it('makes whole numbers integers and leaves out undefined fields', () => {
    assert.deepEqual(jsonFrom({ hidden: 64, rate: 0.1, none: undefined, list: [1, -0] }), {
      hidden: 64n,
      rate: 0.1,
      list: [1n, -0],
    })
  })

  it('refuses functions and circles', () => {
    const circle: Record<string, unknown> = {}
    circle.self = circle
    assert.throws(() => jsonFrom(circle), /or circular/)
    assert.throws(() => jsonFrom({ f: () => 1 }), /got a function/)
  })
})
