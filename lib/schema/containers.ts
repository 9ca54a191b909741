/** Codecs made of codecs: options, lists, sets, maps, tuples, records (spec sections 6.1 and 7.2). */

import { z } from 'zod'

import { Codec, encodePart, reader, refuse, type Infer } from './codec.js'
import { describe } from './describe.js'
import { encodeText, text } from './primitives.js'
import { compareUtf8, type Wire } from './wire.js'

/** A value or `null`. As a field it may be absent when read, and is written as `null`. */
export function optional<T>(inner: Codec<T>): Codec<T | null> {
  return new Codec<T | null>({
    name: `optional ${inner.name}`,
    schema: inner.schema.nullable(),
    encode: (value) => (value === null ? null : inner.encode(value)),
    missing: () => null,
  })
}

/** Like {@link optional}, but the field is left out when it is `null`. */
export function skipNull<T>(inner: Codec<T>): Codec<T | null> {
  const { name, schema } = optional(inner)
  return new Codec<T | null>({
    name,
    schema,
    encode: (value) => (value === null ? null : inner.encode(value)),
    missing: () => null,
    skip: (value) => value === null,
  })
}

/** A field that may be absent when read; it is always written. */
export function withDefault<T>(inner: Codec<T>, missing: () => T): Codec<T> {
  const { name, schema } = inner
  return new Codec<T>({ name, schema, encode: (value) => inner.encode(value), missing })
}

/** A list of values of one kind. */
export function list<T>(item: Codec<T>): Codec<readonly T[]> {
  const name = `list of ${item.name}`
  return new Codec<readonly T[]>({
    name,
    schema: z.array(item.schema, {
      error: ({ input }) => `expected an array, got ${describe(input)}`,
    }),
    encode: (value) => {
      if (!Array.isArray(value)) refuse(`expected an array, got ${describe(value)}`)
      return value.map((part: T, index) => encodePart(item, part, index))
    },
  })
}

/** A set of texts: sorted by UTF-8 bytes, without duplicates, whatever order it came in. */
export function textSet(): Codec<readonly string[]> {
  const texts = list(text)
  const sorted = (value: readonly string[]) => [...new Set(value)].sort(compareUtf8)
  return new Codec<readonly string[]>({
    name: 'set of text',
    schema: texts.schema.transform(sorted),
    encode: (value) => {
      texts.encode(value)
      return sorted(value)
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
    schema: reader<Map<string, unknown>>((input, report) =>
      isObject(input)
        ? new Map(Object.entries(input))
        : report(`expected an object, got ${describe(input)}`),
    )
      .pipe(z.map(z.string(), item.schema))
      .transform((entries) => Object.fromEntries(entries)),
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
  const schemas = items.map((item) => item.schema) as [z.ZodType, ...z.ZodType[]]
  return new Codec<Tuple>({
    name,
    schema: z.tuple(schemas, {
      error: ({ input }) => `expected an array of ${items.length}, got ${describe(input)}`,
    }) as unknown as z.ZodType<Tuple>,
    encode: (value) => items.map((item, index) => encodePart(item, value[index], index)),
  })
}

/** The fields of a record, in the order in which they are written. */
export type Fields = Readonly<Record<string, Codec<unknown>>>

/** The type of a record with these fields. */
export type RecordOf<F extends Fields> = { readonly [K in keyof F]: Infer<F[K]> }

/** A record: its fields by name, in declaration order. Unknown fields are ignored when read. */
export function record<F extends Fields>(name: string, fields: F): Codec<RecordOf<F>> {
  return new Codec<RecordOf<F>>({
    name,
    schema: z.object(fieldSchemas(fields), {
      error: ({ input }) => `expected an object (${name}), got ${describe(input)}`,
    }) as unknown as z.ZodType<RecordOf<F>>,
    encode: (value) => new Map(encodeFields(fields, value)),
  })
}

/** The zod shape of a record. */
export function fieldSchemas(fields: Fields): Record<string, z.ZodType> {
  return Object.fromEntries(Object.entries(fields).map(([key, codec]) => [key, codec.fieldSchema]))
}

/** The fields of a record as they are written: in declaration order, without those that are skipped. */
export function encodeFields(fields: Fields, value: unknown): [string, Wire][] {
  if (!isObject(value)) refuse(`expected an object, got ${describe(value)}`)
  const written: [string, Wire][] = []
  for (const [key, codec] of Object.entries(fields)) {
    const part = value[key] === undefined ? codec.missing() : value[key]
    if (!codec.skip(part)) written.push([key, encodePart(codec, part, key)])
  }
  return written
}

/** Whether a value is an object other than an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
