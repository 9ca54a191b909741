import assert from 'node:assert/strict'

import fc from 'fast-check'

import { ConfigError } from '../../lib/errors.js'
import {
  addSeconds,
  compareTimestamps,
  Timestamp,
  timestamp,
  timestampDate,
  timestampFromNanoseconds,
  timestampNanoseconds,
  timestampNow,
} from '../../lib/schema/index.js'
import { runs } from '../support/runs.js'

/** From the year 0 to the end of 9999, in nanoseconds. */
const instants = fc.bigInt({ min: -62167219200n * 10n ** 9n, max: 253402300800n * 10n ** 9n - 1n })

describe('timestamps', () => {
  for (const text of [
    '2026-01-02T03:04:05Z',
    '2026-01-02T03:05:00.250Z',
    '2026-01-02T03:05:00.000001Z',
    '2026-01-02T03:05:00.123456789Z',
    '2024-02-29T23:59:59.999999999Z',
    '0000-01-01T00:00:00Z',
    '9999-12-31T23:59:59.999999999Z',
    '1969-12-31T23:59:59.999999999Z',
  ]) {
    it(`keeps ${text} as it is`, () => assert.equal(Timestamp.fromValue(text), text))
  }

  const others: [string, string][] = [
    ['2026-01-02T03:04:05.000Z', '2026-01-02T03:04:05Z'],
    ['2026-01-02T03:04:05.1Z', '2026-01-02T03:04:05.100Z'],
    ['2026-01-02T03:04:05.1000005Z', '2026-01-02T03:04:05.100000500Z'],
    ['2026-01-02T03:04:05.1234567899Z', '2026-01-02T03:04:05.123456789Z'],
    ['2026-01-02t03:04:05z', '2026-01-02T03:04:05Z'],
    ['2026-01-02T03:04:05+05:30', '2026-01-01T21:34:05Z'],
    ['2026-12-31T23:04:05-01:00', '2027-01-01T00:04:05Z'],
  ]
  for (const [text, expected] of others) {
    it(`reads and writes ${text} as ${expected}`, () => {
      assert.equal(Timestamp.fromJson(JSON.stringify(text)), expected)
      assert.equal(Timestamp.toJson(text), JSON.stringify(expected))
    })
  }

  for (const text of [
    '',
    '2026-01-02',
    '2026-01-02T03:04:05',
    '2026-02-30T00:00:00Z',
    '2025-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-02T24:00:00Z',
    '2026-01-02T03:04:60Z',
    '2026-01-02T03:04:05.Z',
    '2026-01-02T03:04:05+24:00',
    '2026-01-02T03:04:05Z\n',
    '+12026-01-02T03:04:05Z',
    '0000-01-01T00:00:00+01:00',
    `2026-01-02T03:04:05.${'1'.repeat(100)}Z`,
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => timestamp(text), ConfigError)
      assert.throws(() => Timestamp.toJson(text), /expected an RFC 3339 timestamp/)
    })
  }

  it('refuses a number', () => {
    assert.throws(() => Timestamp.fromJson('1767323045'), /RFC 3339 .* got 1767323045/)
  })

  it('comes from a Date with no fraction or three digits', () => {
    assert.equal(timestamp(new Date(1767323045000)), '2026-01-02T03:04:05Z')
    assert.equal(timestamp(new Date(1767323045007)), '2026-01-02T03:04:05.007Z')
    assert.throws(() => timestamp(new Date(NaN)), ConfigError)
  })

  it('is close to the clock when it is the present', () => {
    assert(Math.abs(timestampDate(timestampNow()).getTime() - Date.now()) < 5000)
  })

  it('becomes a Date cut to milliseconds, before 1970 too', () => {
    assert.equal(timestampDate('1969-12-31T23:59:59.999999999Z').getTime(), -1)
    assert.equal(timestampDate('2026-01-02T03:05:00.250999Z').getTime(), 1767323100250)
  })

  it('adds seconds and keeps nanoseconds', () => {
    assert.equal(addSeconds('2026-01-02T03:04:05Z', 300), '2026-01-02T03:09:05Z')
    assert.equal(addSeconds('2026-12-31T23:59:59.123456789Z', 1), '2027-01-01T00:00:00.123456789Z')
    assert.equal(addSeconds('2026-01-02T03:04:05Z', -0.25), '2026-01-02T03:04:04.750Z')
    assert.throws(() => addSeconds('2026-01-02T03:04:05Z', NaN), /number of seconds, got NaN/)
    assert.throws(() => addSeconds('9999-12-31T23:59:59Z', 1), /outside the years 0 to 9999/)
  })

  it('is compared by time, where texts would sort wrongly', () => {
    assert(compareTimestamps('2026-01-02T03:05:00Z', '2026-01-02T03:05:00.250Z') < 0)
    assert(compareTimestamps('2026-01-02T03:05:00.3Z', '2026-01-02T03:05:00.250Z') > 0)
    assert.equal(compareTimestamps('2026-01-02T04:05:00+01:00', '2026-01-02T03:05:00Z'), 0)
  })

  it('keeps any instant to the nanosecond, in one text', () => {
    fc.assert(
      fc.property(instants, (instant) => {
        const text = timestampFromNanoseconds(instant)
        assert.match(text, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(\d{3}){1,3})?Z$/)
        assert.doesNotMatch(text, /000Z$/)
        assert.equal(timestampNanoseconds(text), instant)
        assert.equal(Timestamp.fromValue(text), text)
      }),
      { numRuns: runs(1000) },
    )
  })
})
