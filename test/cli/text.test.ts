/** What the commands print: sizes, tables, foreign texts, JSON. */
import assert from 'node:assert/strict'

import fc from 'fast-check'

import { byteSize } from '../../lib/cli/text/byte-size.js'
import { jsonDocument } from '../../lib/cli/text/json-document.js'
import { printable, printableLines } from '../../lib/cli/text/printable.js'
import { table } from '../../lib/cli/text/table.js'

/** Controls, and what reorders or hides text. */
const STEERING = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u

describe('a size in bytes', () => {
  it('is given in the largest unit of which there is one', () => {
    const sizes: [number, string][] = [
      [0, '0 B'],
      [1023, '1023 B'],
      [1024, '1.0 KiB'],
      [1536, '1.5 KiB'],
      [2 ** 20 - 1, '1.0 MiB'],
      [20 * 2 ** 20, '20.0 MiB'],
      [3.25 * 2 ** 30, '3.3 GiB'],
      [Number.MAX_SAFE_INTEGER, '8.0 PiB'],
    ]
    for (const [bytes, text] of sizes) assert.equal(byteSize(bytes), text)
  })

  it('never takes more than ten columns', () => {
    fc.assert(fc.property(fc.maxSafeNat(), (bytes) => byteSize(bytes).length <= 10))
  })
})

describe('a table', () => {
  it('aligns its columns and leaves the last one as it is', () => {
    const rows = [
      ['a', '1 B', 'x'],
      ['long', '10 B', 'a name that is long'],
    ]
    assert.deepEqual(table(rows, ['left', 'right']), [
      '  a      1 B  x',
      '  long  10 B  a name that is long',
    ])
  })

  it('counts the columns of a terminal, of which a wide character takes two', () => {
    const rows = [
      ['重み', 'x'],
      ['bias', 'y'],
    ]
    assert.deepEqual(table(rows), ['  重み  x', '  bias  y'])
  })

  it('may be empty, or have empty cells', () => {
    assert.deepEqual(table([]), [])
    assert.deepEqual(table([['a', '']], [], 0), ['a'])
  })
})

describe('a foreign text', () => {
  it('is printed as it is when it is harmless', () => {
    for (const text of ['layer.0.weight', 'Gewicht größer', '重み', '']) {
      assert.equal(printable(text), text)
    }
  })

  it('cannot steer a terminal', () => {
    assert.equal(printable('\u001b[2J'), '\\u{1b}[2J')
    assert.equal(printable('\u202eabc\u009b'), '\\u{202e}abc\\u{9b}')
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !STEERING.test(printable(text))))
    assert.deepEqual(printableLines('a\nb\r'), ['a', 'b\\u{d}'])
  })

  it('is cut when it is long', () => {
    assert.equal(printable('x'.repeat(10_000)).length, 161)
  })
})

describe('a JSON document', () => {
  it('is read back as it was, and cannot steer a terminal', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = jsonDocument(value)
        assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
        assert.ok(!STEERING.test(text.replaceAll('\n', '')))
      }),
    )
    const hostile = '\u001b\u009b\u202e\u2028\u{e0001}'
    assert.ok(!STEERING.test(jsonDocument(hostile).trimEnd()))
    assert.equal(JSON.parse(jsonDocument(hostile)), hostile)
  })

  it('has integers as numbers, and NaN and infinities as texts', () => {
    const text = jsonDocument({ a: 3n, b: 0.5, c: NaN, d: -Infinity })
    assert.deepEqual(JSON.parse(text), { a: 3, b: 0.5, c: 'NaN', d: '-Infinity' })
  })
})
