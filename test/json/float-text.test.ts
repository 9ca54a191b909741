import assert from 'node:assert/strict'

import fc from 'fast-check'

import { float32Text, float64Text } from '../../lib/json/float-text.js'
import { runs } from '../support/runs.js'

/** As printed by serde_json. */
const DOUBLES: [number, string][] = [
  [0, '0.0'],
  [-0, '-0.0'],
  [1, '1.0'],
  [-20, '-20.0'],
  [0.1, '0.1'],
  [1e15, '1000000000000000.0'],
  [1e16, '1e+16'],
  [1234567890123456, '1234567890123456.0'],
  [9007199254740992, '9007199254740992.0'],
  [Number('12345678901234567'), '1.2345678901234568e+16'],
  [123456789012345680, '1.2345678901234568e+17'],
  [Number('12345678901234567890'), '1.2345678901234567e+19'],
  [1e21, '1e+21'],
  [1e22, '1e+22'],
  [0.0001, '0.0001'],
  [0.00001, '0.00001'],
  [0.000015, '0.000015'],
  [0.000001, '1e-6'],
  [0.0000015, '1.5e-6'],
  [1e-7, '1e-7'],
  [5e-324, '5e-324'],
  [-1.5e300, '-1.5e+300'],
  [1.7976931348623157e308, '1.7976931348623157e+308'],
]

const SINGLES: [number, string][] = [
  [0, '0.0'],
  [-0, '-0.0'],
  [0.1, '0.1'],
  [16777216, '16777216.0'],
  [1e12, '1000000000000.0'],
  [1e13, '1e+13'],
  [1.2345679e13, '1.2345679e+13'],
  [1e-6, '0.000001'],
  [1.5e-6, '0.0000015'],
  [1e-7, '1e-7'],
  [1e-40, '1e-40'],
  // A tie goes to the even digit; near a power of two the nearest short text may not read back.
  [2097152.25, '2097152.2'],
  [2 ** -12, '0.00024414062'],
  [2 ** -96, '1.2621775e-29'],
  [3.4028235e38, '3.4028235e+38'],
]

describe('floats as text', () => {
  for (const [value, expected] of DOUBLES) {
    it(`prints the double ${expected}`, () => assert.equal(float64Text(value), expected))
  }

  for (const [value, expected] of SINGLES) {
    it(`prints the single ${expected}`, () =>
      assert.equal(float32Text(Math.fround(value)), expected))
  }

  it('reads back to the same double, with the digits that JavaScript prints', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const printed = float64Text(value)
        assert(Object.is(Number(printed), value))
        const digits = (text: string) =>
          text
            .split('e')[0]
            ?.replace(/[-.]/g, '')
            .replace(/^0+|0+$/g, '')
        assert.equal(digits(printed), digits(String(value)))
      }),
      { numRuns: runs(2000) },
    )
  })

  it('reads back to the same single, in at most nine digits', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const printed = float32Text(value)
        assert(Object.is(Math.fround(Number(printed)), value))
        assert(
          Number(printed)
            .toExponential()
            .replace(/e.*|\D/g, '').length <= 9,
        )
      }),
      { numRuns: runs(2000) },
    )
  })
})
