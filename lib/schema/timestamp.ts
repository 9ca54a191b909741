/**
 * Timestamps: RFC 3339 text in UTC, to the nanosecond (spec formats#json).
 *
 * They stay texts, because their text is what is hashed and because a `Date` only holds milliseconds. The one
 * canonical form ends in `Z` and has no fraction, or the fewest of 3, 6 or 9 digits that are exact.
 */

import { ConfigError } from '../errors.js'
import { Codec, refuse } from './codec.js'
import { describe } from './describe.js'
import type { Flavoured } from './branded.js'

/** RFC 3339 text, such as `2026-01-02T03:05:00.250Z`. */
export type Timestamp = Flavoured<string, 'Timestamp'>

/** Reads any RFC 3339 text and writes the canonical form. */
export const Timestamp = new Codec<Timestamp>({
  name: 'timestamp',
  read: (input, issues) => {
    if (isCanonical(input)) return input
    const nanoseconds = parse(input)
    return nanoseconds === undefined ? issues.misfit(EXPECTED, input) : format(nanoseconds)
  },
  encode: (value) => {
    if (isCanonical(value)) return value
    const nanoseconds = parse(value)
    return nanoseconds === undefined ? refuse(complaint(value)) : format(nanoseconds)
  },
})

/**
 * The canonical timestamp of a `Date` (milliseconds) or of any RFC 3339 text.
 *
 * @throws ConfigError when it is neither, or lies outside the years 0 to 9999
 */
export function timestamp(time: string | Date): Timestamp {
  if (typeof time === 'string') return Timestamp.fromValue(time)
  return timestampFromNanoseconds(
    BigInt(Number.isNaN(time.getTime()) ? INVALID_TIME : time.getTime()) * MILLISECOND,
  )
}

/** The present, to the millisecond. */
export function timestampNow(): Timestamp {
  return timestamp(new Date())
}

/**
 * Nanoseconds since 1970-01-01T00:00:00Z.
 *
 * @throws ConfigError when the text is not RFC 3339
 */
export function timestampNanoseconds(time: Timestamp): bigint {
  const nanoseconds = parse(time)
  if (nanoseconds === undefined) {
    throw new ConfigError('Cannot read timestamp', [{ path: '', message: complaint(time) }])
  }
  return nanoseconds
}

/**
 * The timestamp `nanoseconds` after 1970-01-01T00:00:00Z.
 *
 * @throws ConfigError when it lies outside the years 0 to 9999
 */
export function timestampFromNanoseconds(nanoseconds: bigint): Timestamp {
  if (nanoseconds < YEAR_0 || nanoseconds >= YEAR_10000) {
    const message = `${nanoseconds.toString()} ns since 1970 is outside the years 0 to 9999`
    throw new ConfigError('Cannot write timestamp', [{ path: '', message }])
  }
  return format(nanoseconds)
}

/**
 * A timestamp `seconds` later, or earlier when negative; fractions count to the nanosecond.
 *
 * @throws ConfigError when the text is not RFC 3339 or the result lies outside the years 0 to 9999
 */
export function addSeconds(time: Timestamp, seconds: number): Timestamp {
  const whole = Math.trunc(seconds)
  if (!Number.isSafeInteger(whole)) {
    throw new ConfigError('Cannot add to timestamp', [
      { path: '', message: `expected a number of seconds, got ${describe(seconds)}` },
    ])
  }
  const rest = BigInt(Math.round((seconds - whole) * 1e9))
  return timestampFromNanoseconds(timestampNanoseconds(time) + BigInt(whole) * SECOND + rest)
}

/** Negative, zero or positive as `a` is before, at or after `b`. Text order would be wrong. */
export function compareTimestamps(a: Timestamp, b: Timestamp): number {
  const difference = timestampNanoseconds(a) - timestampNanoseconds(b)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** The timestamp as a `Date`, cut to milliseconds. */
export function timestampDate(time: Timestamp): Date {
  const nanoseconds = timestampNanoseconds(time)
  return new Date(Number((nanoseconds - modulo(nanoseconds, MILLISECOND)) / MILLISECOND))
}

const MILLISECOND = 1_000_000n
const SECOND = 1_000_000_000n
const YEAR_0 = BigInt(Date.parse('0000-01-01T00:00:00Z')) * MILLISECOND
const YEAR_10000 = BigInt(Date.parse('9999-12-31T23:59:59Z') + 1000) * MILLISECOND
/** Stands for an invalid Date; out of range, so that it is refused. */
const INVALID_TIME = Number.MAX_SAFE_INTEGER

const RFC3339 =
  /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d+))?(?:[Zz]|([+-])([01]\d|2[0-3]):([0-5]\d))$/

const CANONICAL =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(?:\d{3}){1,3})?Z$/

/**
 * Whether a text is known to be in the canonical form already, as nearly all are. It says so at a tenth of what parsing
 * costs; the last days of a month are left to that.
 */
function isCanonical(text: unknown): text is Timestamp {
  return typeof text === 'string' && CANONICAL.test(text) && !text.endsWith('000Z')
}

/** Nanoseconds since 1970, or undefined. Digits past the ninth are cut, as the reference does. */
function parse(text: unknown): bigint | undefined {
  const match =
    typeof text === 'string' && text.length <= MAX_TEXT_LENGTH ? RFC3339.exec(text) : null
  if (!match) return undefined
  const [, date, time, fraction = '', sign, hours = '0', minutes = '0'] = match
  const local = new Date(`${date}T${time}Z`)
  // Date rolls an impossible day over into the next month, which shows in its own text.
  if (Number.isNaN(local.getTime()) || !local.toISOString().startsWith(`${date}T${time}`)) {
    return undefined
  }
  const offset = BigInt((sign === '-' ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60))
  const nanoseconds =
    BigInt(local.getTime()) * MILLISECOND -
    offset * SECOND +
    BigInt(fraction.slice(0, 9).padEnd(9, '0'))
  return nanoseconds < YEAR_0 || nanoseconds >= YEAR_10000 ? undefined : nanoseconds
}

/** Longest text that is looked at; a fraction needs nine digits. */
const MAX_TEXT_LENGTH = 64

function format(nanoseconds: bigint): Timestamp {
  const rest = modulo(nanoseconds, SECOND)
  const seconds = new Date(Number((nanoseconds - rest) / MILLISECOND)).toISOString().slice(0, 19)
  const digits = rest.toString().padStart(9, '0')
  const fraction = rest === 0n ? '' : `.${digits.replace(/(?:000){1,2}$/, '')}`
  return `${seconds}${fraction}Z`
}

function modulo(value: bigint, divisor: bigint): bigint {
  return ((value % divisor) + divisor) % divisor
}

const EXPECTED = 'an RFC 3339 timestamp such as "2026-01-02T03:04:05Z"'

function complaint(value: unknown): string {
  return `expected ${EXPECTED}, got ${describe(value)}`
}
