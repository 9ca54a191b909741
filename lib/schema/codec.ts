/**
 * A codec: one declaration from which a record is read, written as JSON, written as CBOR and hashed.
 *
 * Reading goes through a zod schema, which lists every problem with its path. Writing goes through the wire
 * model, so that a field's declaration, not the JavaScript value, says whether `1` is the integer `1` or the
 * float `1.0`. Primitives, containers and variants that build codecs are in the files beside this one.
 */

import { z } from 'zod'

import { ConfigError, type ConfigIssue } from '../errors.js'
import { encodeCbor } from './cbor.js'
import { MAX_REPORTED_ISSUES } from './constants.js'
import { clip } from './describe.js'
import { parseJson, type JsonLimits } from './json-read.js'
import { writeJson, type JsonStyle } from './json-write.js'
import type { Wire } from './wire.js'

/** The parts that make a codec. */
export interface CodecParts<T> {
  /** What the codec is for, as messages call it. */
  readonly name: string
  /** Reads parsed JSON: integers are `bigint`, floats `number`. */
  readonly schema: z.ZodType<T>
  /** Turns a value into the wire model, or throws through {@link refuse}. */
  encode(value: T): Wire
  /** The value of a field that is absent. Without this, the field is required. */
  missing?(): T
  /** Whether a record leaves the field out when it is written. */
  skip?(value: T): boolean
}

/** The TypeScript type that a codec reads and writes. */
export type Infer<C> = C extends Codec<infer T> ? T : never

/** Reads and writes values of type `T`, in JSON and in CBOR (spec sections 6 and 7.2). */
export class Codec<T> {
  readonly name: string
  readonly schema: z.ZodType<T>
  readonly #parts: CodecParts<T>

  constructor(parts: CodecParts<T>) {
    this.name = parts.name
    this.schema = parts.schema
    this.#parts = parts
  }

  /**
   * Reads JSON text, or its UTF-8 bytes. Unknown fields are ignored.
   *
   * @throws ConfigError listing every problem with its path
   */
  fromJson(source: string | Uint8Array, limits?: JsonLimits): T {
    return this.fromValue(parseJson(source, this.name, limits))
  }

  /**
   * Reads a value that is already parsed, with integers as `bigint` and floats as `number`.
   *
   * @throws ConfigError listing every problem with its path
   */
  fromValue(value: unknown): T {
    const result = this.schema.safeParse(value)
    if (result.success) return result.data
    throw new ConfigError(`Cannot read ${this.name}`, reportIssues(result.error.issues))
  }

  /**
   * Writes JSON as the reference does: compact, or pretty with a two-space indent; no final newline.
   *
   * @throws ConfigError when the value does not fit, such as a fraction in an integer field
   */
  toJson(value: T, style?: JsonStyle): string {
    return writeJson(this.toWire(value), style)
  }

  /**
   * Writes the one CBOR form that content ids are made of (spec section 7.2).
   *
   * @throws ConfigError when the value does not fit
   */
  toCbor(value: T): Uint8Array {
    return encodeCbor(this.toWire(value))
  }

  /**
   * The value in the wire model.
   *
   * @throws ConfigError when the value does not fit
   */
  toWire(value: T): Wire {
    try {
      return this.encode(value)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const issue = { path: pathText(error.path), message: error.message }
      throw new ConfigError(`Cannot write ${this.name}`, [issue])
    }
  }

  /** Like {@link toWire}, for codecs that hold this one: problems stay bare, and gather their path. */
  encode(value: T): Wire {
    return this.#parts.encode(value)
  }

  /** Whether the field may be absent; then {@link missing} is its value. */
  get optional(): boolean {
    return this.#parts.missing !== undefined
  }

  /** The value of the absent field; undefined when the field is required. */
  missing(): T | undefined {
    return this.#parts.missing?.()
  }

  /** Whether a record leaves the field out when it is written. */
  skip(value: T): boolean {
    return this.#parts.skip?.(value) ?? false
  }

  /** The schema of a record's field: {@link schema}, with the default in place when it is absent. */
  get fieldSchema(): z.ZodType<T> {
    if (!this.optional) return this.schema
    // zod's own default wants a type without undefined, which a generic T cannot promise.
    return this.schema.default(() => this.missing() as never)
  }
}

/** Why a value cannot be written, and where inside it. */
class Refusal extends Error {
  readonly path: PropertyKey[] = []
}

/** Stops an `encode`: the value does not fit. */
export function refuse(message: string): never {
  throw new Refusal(message)
}

/** Runs the `encode` of a part, so that a refusal names the part. */
export function encodePart<T>(codec: Codec<T>, value: T, key: PropertyKey): Wire {
  try {
    return codec.encode(value)
  } catch (error) {
    if (error instanceof Refusal) error.path.unshift(key)
    throw error
  }
}

/** What a reading function returns after it reported a problem. */
export const INVALID = Symbol('invalid')

/** Reports a problem with the value that is read, or with a part of it. */
export type Report = (message: string, path?: PropertyKey[]) => typeof INVALID

/** A zod schema from one function that reads a value or reports what is wrong with it. */
export function reader<T>(
  read: (input: unknown, report: Report) => T | typeof INVALID,
): z.ZodType<T> {
  return z.transform((input: unknown, context): T => {
    const value = read(input, (message, path = []) => {
      context.issues.push({ code: 'custom', input, message, path })
      return INVALID
    })
    return value === INVALID ? z.NEVER : value
  })
}

/** Passes on what a schema found wrong with a part. */
export function reportAll(
  report: Report,
  issues: readonly z.core.$ZodIssue[],
  ...prefix: PropertyKey[]
): typeof INVALID {
  for (const { message, path } of issues) report(message, [...prefix, ...path])
  return INVALID
}

function reportIssues(issues: readonly z.core.$ZodIssue[]): ConfigIssue[] {
  const reported = issues
    .slice(0, MAX_REPORTED_ISSUES)
    .map(({ path, message }) => ({ path: pathText(path), message }))
  const rest = issues.length - reported.length
  return rest === 0 ? reported : [...reported, { path: '', message: `and ${rest} more` }]
}

/** A path as code would write it: `entries[3].bytes_len`, `metrics["a b"]`. */
function pathText(path: readonly PropertyKey[]): string {
  let text = ''
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`
    else if (/^[A-Za-z_]\w*$/.test(String(key)))
      text += text === '' ? String(key) : `.${String(key)}`
    else text += `[${clip(String(key))}]`
  }
  return text
}
