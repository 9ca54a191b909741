/** Codecs made of codecs: options, lists, sets, maps, tuples, records (spec formats#json and formats#canonical-cbor). */

import { closestName } from '../core/closest-name.js'
import { Codec, encodePart, encodePartSteps, refuse, type Infer } from './codec.js'
import { clip } from '../core/quoting.js'
import type { Steps } from '../core/steps.js'
import { MAX_DROPPED_RECORDS } from './constants.js'
import { describe } from './describe.js'
import { INVALID, type Issues } from './issues.js'
import { encodeText, text } from './primitives.js'
import { RecordDecoder } from './record-decoder.js'
import { WireSyntaxError } from './wire-reader.js'
import { compareUtf8, type Wire } from '../json/wire.js'

/** A value or `null`. As a field it may be absent when read, and is written as `null`. */
export function optional<T>(inner: Codec<T>): Codec<T | null> {
  return new Codec<T | null>({
    name: `optional ${inner.name}`,
    read: (input, issues) => (input === null ? null : inner.read(input, issues)),
    decode: (reader, issues) => (reader.takeNull() ? null : inner.decode(reader, issues)),
    encode: (value) => (value === null ? null : inner.encode(value)),
    missing: () => null,
  })
}

/** Like {@link optional}, but the field is left out when it is `null`. */
export function skipNull<T>(inner: Codec<T>): Codec<T | null> {
  const { name, read, decode } = optional(inner)
  return new Codec<T | null>({
    name,
    read,
    decode,
    encode: (value) => (value === null ? null : inner.encode(value)),
    missing: () => null,
    skip: (value) => value === null,
  })
}

/** A field that may be absent when read; it is always written. */
export function withDefault<T>(inner: Codec<T>, missing: () => T): Codec<T> {
  const { name, read, decode } = inner
  return new Codec<T>({ name, read, decode, encode: (value) => inner.encode(value), missing })
}

/** A list that is left out when it is empty. */
export function skipEmpty<T>(inner: Codec<readonly T[]>): Codec<readonly T[]> {
  const { name, read, decode } = inner
  return new Codec<readonly T[]>({
    name,
    read,
    decode,
    encode: (value) => inner.encode(value),
    missing: () => [],
    skip: (value) => value.length === 0,
  })
}

/** A list of values of one kind. */
export function list<T>(item: Codec<T>): Codec<readonly T[]> {
  const name = `list of ${item.name}`
  return new Codec<readonly T[]>({
    name,
    read: (input, issues) => {
      if (!Array.isArray(input)) return issues.misfit('an array', input)
      // Unlike map, this does not skip holes.
      const parts = Array.from(input, (part, index) => issues.part(index, item.read, part))
      return allValid(parts) ? parts : INVALID
    },
    *readSteps(input, issues) {
      if (!Array.isArray(input)) return issues.misfit('an array', input)
      const parts: (T | typeof INVALID)[] = []
      for (const [index, part] of input.entries()) {
        parts.push(issues.part(index, item.read, part))
        if (index % ITEMS_PER_STEP === ITEMS_PER_STEP - 1) yield
      }
      return allValid(parts) ? parts : INVALID
    },
    decode: (reader, issues) => {
      const items: T[] = []
      const count = reader.array()
      for (let index = 0; index < count; index++) {
        const part = issues.part(index, item.decode, reader)
        if (part === INVALID) return INVALID
        items.push(part)
      }
      reader.leave()
      return items
    },
    encode: (value) => {
      if (!Array.isArray(value)) refuse(`expected an array, got ${describe(value)}`)
      return Array.from(value, (part: T, index) => encodePart(item, part, index))
    },
    *encodeSteps(value) {
      if (!Array.isArray(value)) refuse(`expected an array, got ${describe(value)}`)
      const parts: Wire[] = []
      for (const [index, part] of (value as readonly T[]).entries()) {
        parts.push(encodePart(item, part, index))
        if (index % ITEMS_PER_STEP === ITEMS_PER_STEP - 1) yield
      }
      return parts
    },
  })
}

/** Items of a list that are read or written in one step. */
const ITEMS_PER_STEP = 8

/**
 * A list of records that others made: one that does not fit is left out where a peer sends the list, so that it does not
 * take the others with it. In JSON it is as strict as {@link list}.
 */
export function tolerantList<T>(item: Codec<T>): Codec<readonly T[]> {
  const strict = list(item)
  return new Codec<readonly T[]>({
    name: strict.name,
    read: strict.read,
    decode: (reader, issues) => {
      const items: T[] = []
      const count = reader.array()
      for (let index = 0; index < count; index++) {
        const start = reader.mark()
        const part = issues.attempt(index, item.decode, reader, isSyntaxError)
        if (part === INVALID) {
          if (issues.dropped.length > MAX_DROPPED_RECORDS) {
            return issues.report(`more than ${MAX_DROPPED_RECORDS} records do not fit`)
          }
          reader.rewind(start)
          reader.skip()
        } else items.push(part)
      }
      reader.leave()
      return items
    },
    encode: (value) => strict.encode(value),
  })
}

function isSyntaxError(error: unknown): error is WireSyntaxError {
  return error instanceof WireSyntaxError
}

/** A set of texts: sorted by UTF-8 bytes, without duplicates, whatever order it came in. */
export function textSet(): Codec<readonly string[]> {
  return setOf(text, compareUtf8)
}

/** A set: sorted, without duplicates, whatever order it came in. `compare` is 0 for equal values alone. */
export function setOf<T>(item: Codec<T>, compare: (a: T, b: T) => number): Codec<readonly T[]> {
  const items = list(item)
  const sorted = (value: readonly T[]) =>
    [...value].sort(compare).filter((part, index, all) => {
      const before = all[index - 1]
      return before === undefined || compare(before, part) !== 0
    })
  return new Codec<readonly T[]>({
    name: `set of ${item.name}`,
    read: (input, issues) => {
      const read = items.read(input, issues)
      return read === INVALID ? INVALID : sorted(read)
    },
    decode: (reader, issues) => {
      const read = items.decode(reader, issues)
      return read === INVALID ? INVALID : sorted(read)
    },
    encode: (value) => {
      items.encode(value)
      return items.encode(sorted(value))
    },
  })
}

/**
 * A map from text to values of one kind, written in the order of the keys' UTF-8 bytes.
 *
 * Read maps are plain objects with own properties only, `__proto__` included; look a foreign key up with
 * `Object.hasOwn`.
 */
export function map<T>(item: Codec<T>): Codec<Readonly<Record<string, T>>> {
  return new Codec<Readonly<Record<string, T>>>({
    name: `map of ${item.name}`,
    read: (input, issues) => {
      if (!isObject(input)) return issues.misfit('an object', input)
      const keys = Object.keys(input)
      const parts = keys.map((key) => issues.part(key, item.read, input[key]))
      if (!allValid(parts)) return INVALID
      return Object.fromEntries(keys.map((key, index) => [key, parts[index] as T]))
    },
    decode: (reader, issues) => {
      const entries = new Map<string, T>()
      for (let count = reader.map(); count > 0; count--) {
        const key = reader.text('a text as key')
        if (entries.has(key)) return issues.report(`duplicate key ${clip(key)}`)
        const part = issues.part(key, item.decode, reader)
        if (part === INVALID) return INVALID
        entries.set(key, part)
      }
      reader.leave()
      return Object.fromEntries(entries)
    },
    encode: (value) => {
      if (!isObject(value)) refuse(`expected an object, got ${describe(value)}`)
      const entries = Object.entries(value)
      entries.sort(([a], [b]) => compareUtf8(a, b))
      return new Map(entries.map(([key, part]) => [encodeText(key), encodePart(item, part, key)]))
    },
  })
}

/** A list of fixed length with a codec per place; what most content ids are made of. */
export function tuple<const C extends readonly Codec<unknown>[]>(
  name: string,
  ...items: C
): Codec<{ readonly [I in keyof C]: Infer<C[I]> }> {
  type Tuple = { readonly [I in keyof C]: Infer<C[I]> }
  return new Codec<Tuple>({
    name,
    read: (input, issues) => {
      if (!Array.isArray(input) || input.length !== items.length) {
        return issues.misfit(`an array of ${items.length}`, input)
      }
      const parts = items.map((item, index) => issues.part(index, item.read, input[index]))
      return allValid(parts) ? (parts as Tuple) : INVALID
    },
    decode: (reader, issues) => {
      const count = reader.array(`an array of ${items.length}`)
      if (count !== items.length) {
        return issues.report(`expected an array of ${items.length}, got one of ${count}`)
      }
      const parts: unknown[] = []
      for (const [index, item] of items.entries()) {
        const part = issues.part(index, item.decode, reader)
        if (part === INVALID) return INVALID
        parts.push(part)
      }
      reader.leave()
      return parts as Tuple
    },
    encode: (value) => items.map((item, index) => encodePart(item, value[index], index)),
    *encodeSteps(value) {
      const parts: Wire[] = []
      for (const [index, item] of items.entries()) {
        parts.push(yield* encodePartSteps(item, value[index], index))
      }
      return parts
    },
  })
}

/** The fields of a record, in the order in which they are written. */
export type Fields = Readonly<Record<string, Codec<unknown>>>

/** The type of a record with these fields. */
export type RecordOf<F extends Fields> = { readonly [K in keyof F]: Infer<F[K]> }

/** A record: its fields by name, in declaration order. Whether unknown fields are ignored is up to who reads. */
export function record<F extends Fields>(name: string, fields: F): Codec<RecordOf<F>> {
  const entries = Object.entries(fields)
  const decoder = new RecordDecoder(name, entries)
  return new Codec<RecordOf<F>>({
    name,
    read: (input, issues) =>
      isObject(input)
        ? (readFields(entries, input, issues) as RecordOf<F> | typeof INVALID)
        : issues.misfit(`an object (${name})`, input),
    *readSteps(input, issues) {
      if (!isObject(input)) return issues.misfit(`an object (${name})`, input)
      return (yield* readFieldsSteps(entries, input, issues)) as RecordOf<F> | typeof INVALID
    },
    decode: (reader, issues) => decoder.decode(reader, issues) as RecordOf<F> | typeof INVALID,
    encode: (value) => encodeFields(entries, value),
    *encodeSteps(value) {
      if (!isObject(value)) refuse(`expected an object, got ${describe(value)}`)
      const written = new Map<string, Wire>()
      for (const [key, codec] of entries) {
        const part = value[key] === undefined ? codec.missing() : value[key]
        if (!codec.skip(part)) written.set(key, yield* encodePartSteps(codec, part, key))
      }
      return written
    },
  })
}

/** The fields of a record by name, in the order in which they are written. */
export type FieldEntries = readonly (readonly [string, Codec<unknown>])[]

/**
 * Reads the fields of a record.
 *
 * @param tag a further field, which the caller has read
 */
export function readFields(
  fields: FieldEntries,
  input: Record<string, unknown>,
  issues: Issues,
  tag?: string,
): Record<string, unknown> | typeof INVALID {
  const result: Record<string, unknown> = {}
  let isValid = issues.unknownFields === 'ignore' || hasNoOther(fields, input, issues, tag)
  for (const [key, codec] of fields) {
    const part = issues.part(key, codec.readField, input[key])
    if (part === INVALID) isValid = false
    else result[key] = part
  }
  return isValid ? result : INVALID
}

function* readFieldsSteps(
  fields: FieldEntries,
  input: Record<string, unknown>,
  issues: Issues,
): Steps<Record<string, unknown> | typeof INVALID> {
  const result: Record<string, unknown> = {}
  let isValid = issues.unknownFields === 'ignore' || hasNoOther(fields, input, issues)
  for (const [key, codec] of fields) {
    const part = yield* issues.partSteps(key, codec.readFieldSteps(input[key], issues))
    if (part === INVALID) isValid = false
    else result[key] = part
  }
  return isValid ? result : INVALID
}

/** Reports every field that the record does not have, with the one that was likely meant. */
function hasNoOther(
  fields: FieldEntries,
  input: Record<string, unknown>,
  issues: Issues,
  tag?: string,
): boolean {
  const known = [...(tag === undefined ? [] : [tag]), ...fields.map(([key]) => key)]
  const others = Object.keys(input).filter((key) => !known.includes(key))
  for (const key of others) {
    const closest = closestName(key, known)
    const hint =
      closest === undefined
        ? `known are ${known.map((name) => `"${name}"`).join(', ')}`
        : `did you mean "${closest}"?`
    issues.part(key, () => issues.report(`unknown field ${clip(key)}; ${hint}`), undefined)
  }
  return others.length === 0
}

/** The fields of a record as they are written: in declaration order, without those that are skipped. */
export function encodeFields(fields: FieldEntries, value: unknown): Map<string, Wire> {
  if (!isObject(value)) refuse(`expected an object, got ${describe(value)}`)
  const written = new Map<string, Wire>()
  for (const [key, codec] of fields) {
    const part = value[key] === undefined ? codec.missing() : value[key]
    if (!codec.skip(part)) written.set(key, encodePart(codec, part, key))
  }
  return written
}

function allValid<T>(parts: readonly (T | typeof INVALID)[]): parts is readonly T[] {
  return !parts.includes(INVALID)
}

/** Whether a value is an object other than an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
