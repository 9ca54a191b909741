/** Codecs of enums, in the forms that serde gives them (spec section 6.1). */

import { z } from 'zod'

import { Codec, encodePart, reader, refuse, reportAll, type Infer } from './codec.js'
import { encodeFields, fieldSchemas, isObject, type Fields, type RecordOf } from './containers.js'
import { describe } from './describe.js'

/** The variants of an externally tagged enum: a codec for what a variant holds, or `null` for a bare name. */
export type Variants = Readonly<Record<string, Codec<unknown> | null>>

/** `'Train' | { readonly Custom: string }`, for the variants `{ Train: null, Custom: text }`. */
export type VariantOf<V extends Variants> = {
  [K in keyof V & string]: V[K] extends null ? K : { readonly [P in K]: Infer<V[P]> }
}[keyof V & string]

/**
 * An externally tagged enum: a bare variant is its name, any other an object with one key.
 * As the reference does, it also reads a bare variant given as `{"Name": null}`.
 */
export function variants<V extends Variants>(name: string, all: V): Codec<VariantOf<V>> {
  const names = Object.entries(all).map(([key, codec]) =>
    codec === null ? `"${key}"` : `{"${key}": …}`,
  )
  const expected = `expected ${names.join(' or ')}`
  const find = (key: string): Codec<unknown> | null | undefined =>
    Object.hasOwn(all, key) ? all[key] : undefined

  return new Codec<VariantOf<V>>({
    name,
    schema: reader((input, report) => {
      if (typeof input === 'string' && find(input) === null) return input as VariantOf<V>
      const entry = onlyEntry(input)
      if (!entry) return report(`${expected}, got ${describe(input)}`)
      const [key, content] = entry
      const codec = find(key)
      if (codec === undefined) return report(`${expected}, got an object with ${describe(key)}`)
      if (codec === null) {
        if (content === null) return key as VariantOf<V>
        return report(`"${key}" holds nothing, got ${describe(content)}`, [key])
      }
      const result = codec.schema.safeParse(content)
      if (result.success) return { [key]: result.data } as VariantOf<V>
      return reportAll(report, result.error.issues, key)
    }),
    encode: (value: unknown) => {
      if (typeof value === 'string' && find(value) === null) return value
      const [key, content] = onlyEntry(value) ?? []
      const codec = key === undefined ? undefined : find(key)
      if (key === undefined || !codec) refuse(`${expected}, got ${describe(value)}`)
      return new Map([[key, encodePart(codec, content, key)]])
    },
  })
}

/** An enum of bare names, which are the TypeScript values too. */
export function names<const N extends readonly string[]>(
  name: string,
  ...all: N
): Codec<N[number]> {
  return variants(name, Object.fromEntries(all.map((item) => [item, null])))
}

/** The type of an internally tagged enum: one record per variant, each with its `kind`. */
export type KindOf<V extends Readonly<Record<string, Fields>>> = {
  [K in keyof V & string]: { readonly kind: K } & RecordOf<V[K]>
}[keyof V & string]

/** An internally tagged enum: a record whose field `kind`, written first, names the variant. */
export function kinds<V extends Readonly<Record<string, Fields>>>(
  name: string,
  all: V,
): Codec<KindOf<V>> {
  const expected = Object.keys(all)
    .map((kind) => `"${kind}"`)
    .join(' or ')
  const schemas = Object.entries(all).map(([kind, fields]) =>
    z.object({ kind: z.literal(kind), ...fieldSchemas(fields) }),
  )
  return new Codec<KindOf<V>>({
    name,
    schema: z.discriminatedUnion('kind', schemas as unknown as [z.ZodObject, ...z.ZodObject[]], {
      error: ({ input }) =>
        isObject(input)
          ? `expected ${expected}, got ${describe(input.kind)}`
          : `expected an object (${name}), got ${describe(input)}`,
    }) as unknown as z.ZodType<KindOf<V>>,
    encode: (value: unknown) => {
      if (!isObject(value)) refuse(`expected an object (${name}), got ${describe(value)}`)
      const { kind } = value
      const fields = typeof kind === 'string' && Object.hasOwn(all, kind) ? all[kind] : undefined
      if (!fields) refuse(`expected a kind ${expected}, got ${describe(kind)}`)
      return new Map([['kind', kind as string], ...encodeFields(fields, value)])
    },
  })
}

function onlyEntry(value: unknown): [string, unknown] | undefined {
  if (!isObject(value)) return undefined
  const entries = Object.entries(value)
  return entries.length === 1 ? entries[0] : undefined
}
