/** Untagged values: metrics, patch values, and free JSON (spec formats#untagged-values). */

import { Codec, refuse } from './codec.js'
import { MAX_JSON_DEPTH } from '../json/constants.js'
import { isObject, list, map } from './containers.js'
import { describe } from './describe.js'
import type { JsonValue } from '../json/parser.js'
import { encodeText, i64Exact, text } from './primitives.js'
import { compareUtf8, type Wire } from '../json/wire.js'

/**
 * One metric. A `bigint` is an integer (within i64), a `number` a float: `1n` is written `1`, `1` is written
 * `1.0`. An integer beyond i64 is read as a float.
 */
export type MetricValue = bigint | number | boolean | string

/** The codec of {@link MetricValue}. */
export const MetricValue = new Codec<MetricValue>({
  name: 'metric value',
  read: (input, issues) => {
    const value = readScalar(input)
    if (value !== undefined) return value
    const hint = input === null ? ', as which NaN and infinities are written' : ''
    return issues.misfit('an integer, float, boolean or string', input, hint)
  },
  encode: encodeScalar,
})

/** Metrics by name. */
export type Metrics = Readonly<Record<string, MetricValue>>

/** The codec of {@link Metrics}. */
export const Metrics: Codec<Metrics> = map(MetricValue)

/** One value of a runtime patch; integers are `bigint`, floats `number`. */
export type PatchValue = bigint | number | boolean | string | readonly string[]

const textList = list(text)

/** The codec of {@link PatchValue}. */
export const PatchValue = new Codec<PatchValue>({
  name: 'patch value',
  read: (input, issues) => {
    const value = readScalar(input)
    if (value !== undefined) return value
    if (Array.isArray(input)) return textList.read(input, issues)
    return issues.misfit('a boolean, integer, float, string or list of strings', input)
  },
  encode: (value) => (typeof value === 'object' ? textList.encode(value) : encodeScalar(value)),
})

function readScalar(input: unknown): MetricValue | undefined {
  switch (typeof input) {
    case 'bigint':
      return BigInt.asIntN(64, input) === input ? input : Number(input)
    case 'number':
    case 'boolean':
    case 'string':
      return input
    default:
      return undefined
  }
}

function encodeScalar(value: MetricValue): Wire {
  switch (typeof value) {
    case 'bigint':
      return i64Exact.encode(value)
    case 'number':
    case 'boolean':
      return value
    case 'string':
      return encodeText(value)
    default:
      return refuse(`expected a bigint, number, boolean or string, got ${describe(value)}`)
  }
}

/**
 * Any JSON. Integers are `bigint` and floats `number`, so that what was read is written alike; {@link jsonFrom}
 * takes ordinary JavaScript values. Keys are written in the order of their UTF-8 bytes, as the reference does.
 */
export const json = new Codec<JsonValue>({
  name: 'JSON',
  // Absent is not null: a required field of this kind has to be there.
  read: (input, issues) => {
    try {
      checkJson(input, 0)
      return input as JsonValue
    } catch (error) {
      return issues.report((error as Error).message)
    }
  },
  encode: (value) => encodeJson(value, byUtf8, 0),
})

/**
 * Any value, with its keys in the order in which they came: for what is passed on as it is, and hashed. Keys that look
 * like integers come first, as JavaScript has it.
 */
export const anyValue = new Codec<JsonValue>({
  name: 'any value',
  read: json.read,
  encode: (value) => encodeJson(value, asTheyCome, 0),
})

type Entries = [string, unknown][]
const byUtf8 = (entries: Entries): Entries => entries.sort(([a], [b]) => compareUtf8(a, b))
const asTheyCome = (entries: Entries): Entries => entries

function encodeJson(value: unknown, order: (entries: Entries) => Entries, depth: number): Wire {
  checkDepth(depth)
  if (Array.isArray(value)) return Array.from(value, (item) => encodeJson(item, order, depth + 1))
  if (!isObject(value)) return encodeLeaf(value)
  const entries = order(Object.entries(value))
  return new Map(
    entries.map(([key, item]) => [encodeText(key), encodeJson(item, order, depth + 1)]),
  )
}

/** Refuses what {@link encodeJson} would, at a fraction of its cost. */
function checkJson(value: unknown, depth: number): void {
  checkDepth(depth)
  if (Array.isArray(value)) {
    for (const item of value) checkJson(item, depth + 1)
  } else if (isObject(value)) {
    for (const key of Object.keys(value)) {
      encodeText(key)
      checkJson(value[key], depth + 1)
    }
  } else encodeLeaf(value)
}

function checkDepth(depth: number): void {
  if (depth > MAX_JSON_DEPTH) refuse(`nested deeper than ${MAX_JSON_DEPTH} levels, or circular`)
}

function encodeLeaf(value: unknown): Wire {
  if (value === null) return null
  switch (typeof value) {
    case 'bigint':
      if (value < -(2n ** 63n) || value >= 2n ** 64n) {
        refuse(`the integer ${value.toString()} is outside -2^63 .. 2^64 - 1`)
      }
      return value
    case 'number':
    case 'boolean':
      return value
    case 'string':
      return encodeText(value)
    default:
      return refuse(`expected a JSON value, got ${describe(value)}`)
  }
}

/**
 * Free JSON from ordinary JavaScript values, with numbers as JSON.stringify would write them: whole numbers
 * become integers (`bigint`), others floats. To keep a whole float, build the value with `bigint` and `number`.
 *
 * @example jsonFrom({ hidden: 64, rate: 0.1 }) // { hidden: 64n, rate: 0.1 }
 * @throws ConfigError when the value is not JSON: a function, a circle, undefined inside an array
 */
export function jsonFrom(value: unknown): JsonValue {
  return json.fromValue(wholeToBigInt(value, 0))
}

function wholeToBigInt(value: unknown, depth: number): unknown {
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
  }
  // Left as it is: the codec names the problem.
  if (depth > MAX_JSON_DEPTH) return value
  if (Array.isArray(value)) return Array.from(value, (item) => wholeToBigInt(item, depth + 1))
  if (!isObject(value)) return value
  const defined = Object.entries(value).filter(([, item]) => item !== undefined)
  return Object.fromEntries(defined.map(([key, item]) => [key, wholeToBigInt(item, depth + 1)]))
}
