/** Codecs of enums, in the forms that serde gives them (spec formats#json). */

import { closestName } from '../core/closest-name.js'
import { Codec, encodePart, refuse, type Infer } from './codec.js'
import { encodeFields, isObject, readFields, type Fields, type RecordOf } from './containers.js'
import { describe } from './describe.js'
import { INVALID, type Read } from './issues.js'

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
  const expected = names.join(' or ')
  const bare = Object.keys(all).filter((key) => all[key] === null)
  const find = (key: string): Codec<unknown> | null | undefined =>
    Object.hasOwn(all, key) ? all[key] : undefined
  const suggestion = (input: unknown): string => {
    const closest = typeof input === 'string' ? closestName(input, bare) : undefined
    return closest === undefined ? '' : `; did you mean "${closest}"?`
  }

  return new Codec<VariantOf<V>>({
    name,
    read: (input, issues) => {
      if (typeof input === 'string' && find(input) === null) return input as VariantOf<V>
      const entry = onlyEntry(input)
      if (!entry) return issues.misfit(expected, input, suggestion(input))
      const [key, content] = entry
      const codec = find(key)
      if (codec === undefined) {
        return issues.report(`expected ${expected}, got an object with ${describe(key)}`)
      }
      const part = issues.part<unknown, unknown>(key, codec?.read ?? readNothing(key), content)
      if (part === INVALID) return INVALID
      return (codec === null ? key : { [key]: part }) as VariantOf<V>
    },
    decode: (reader, issues) => {
      if (reader.isText()) {
        const found = reader.text()
        if (find(found) === null) return found as VariantOf<V>
        return issues.misfit(expected, found, suggestion(found))
      }
      const count = reader.map(expected)
      if (count !== 1) return issues.report(`expected ${expected}, got a map of ${count}`)
      const key = reader.text('a text as key')
      const codec = find(key)
      if (!codec) return issues.report(`expected ${expected}, got a map with ${describe(key)}`)
      const part = issues.part(key, codec.decode, reader)
      if (part === INVALID) return INVALID
      reader.leave()
      return { [key]: part } as VariantOf<V>
    },
    encode: (value: unknown) => {
      if (typeof value === 'string' && find(value) === null) return value
      const [key, content] = onlyEntry(value) ?? []
      const codec = key === undefined ? undefined : find(key)
      if (key === undefined || !codec) refuse(`expected ${expected}, got ${describe(value)}`)
      return new Map([[key, encodePart(codec, content, key)]])
    },
  })
}

/** What a bare variant holds when it is given as an object. */
function readNothing(name: string): Read<null> {
  return (input, issues) =>
    input === null ? null : issues.report(`"${name}" holds nothing, got ${describe(input)}`)
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
  const fieldsOf = new Map(
    Object.entries(all).map(([kind, fields]) => [kind, Object.entries(fields)]),
  )
  const find = (kind: unknown) => (typeof kind === 'string' ? fieldsOf.get(kind) : undefined)
  return new Codec<KindOf<V>>({
    name,
    read: (input, issues) => {
      if (!isObject(input)) return issues.misfit(`an object (${name})`, input)
      const { kind } = input
      const fields = find(kind)
      if (!fields) return issues.part('kind', () => issues.misfit(expected, kind), kind)
      const read = readFields(fields, input, issues, 'kind')
      return read === INVALID ? INVALID : ({ kind, ...read } as KindOf<V>)
    },
    encode: (value: unknown) => {
      if (!isObject(value)) refuse(`expected an object (${name}), got ${describe(value)}`)
      const { kind } = value
      const fields = find(kind)
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
