/** Text in pieces, as lines. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  LineSplitter,
  MAX_UNFINISHED_LINE,
  type EndedLine,
} from '../../lib/runtime/line-splitter.js'

function split(pieces: readonly string[]): EndedLine[] {
  const splitter = new LineSplitter()
  return [...pieces.flatMap((piece) => splitter.push(piece)), splitter.take()]
}

describe('lines of text that comes in pieces', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '😀', '\r', '\n', '\r\n'), maxLength: 40 })

  it('are together the text, in order, however it is cut', () => {
    fc.assert(
      fc.property(fc.array(text), (pieces) => {
        assert.equal(split(pieces).flat().join(''), pieces.join(''))
      }),
    )
  })

  it('are the same however the text is cut, and hold no end', () => {
    fc.assert(
      fc.property(fc.array(text), (pieces) => {
        const lines = split(pieces)
        assert.deepEqual(lines, split([pieces.join('')]))
        for (const [line] of lines) assert.doesNotMatch(line, /[\r\n]/)
      }),
    )
  })

  it('end by a newline, by a return, or by both', () => {
    assert.deepEqual(split(['a\nb\rc\r\nd\n\re']), [
      ['a', '\n'],
      ['b', '\r'],
      ['c', '\r\n'],
      ['d', '\n'],
      ['', '\r'],
      ['e', ''],
    ])
  })

  it('without an end are kept up to a limit, and given out in whole characters', () => {
    const splitter = new LineSplitter()
    const long = '😀'.repeat(MAX_UNFINISHED_LINE / 2) + '\ud83d'
    assert.deepEqual(splitter.push(long), [[long.slice(0, -1), '']])
    assert.deepEqual(splitter.push('\ude00\n'), [['😀', '\n']])
  })

  it('take time in proportion to the text', () => {
    const took = (count: number) => {
      const splitter = new LineSplitter()
      const began = performance.now()
      for (let i = 0; i < count; i++) splitter.push('x'.repeat(16))
      return performance.now() - began
    }
    took(10_000)
    // Ten times as much; a hundred times the time, were each piece joined and searched anew.
    const few = Math.min(...[1, 2, 3].map(() => took(20_000)))
    assert.ok(took(200_000) < 40 * few + 50)
  })
})
