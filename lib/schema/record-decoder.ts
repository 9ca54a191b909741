/** Reads a record from the bytes that a peer sent: its fields in any order, others passed over. */

import { encodeCbor } from './cbor.js'
import type { Codec } from './codec.js'
import { clip } from '../core/quoting.js'
import { INVALID, type Issues } from './issues.js'
import type { WireReader } from './wire-reader.js'

/** One field, with its place in the record and its key as CBOR. */
interface Field {
  readonly index: number
  readonly name: string
  readonly key: Uint8Array
  readonly codec: Codec<unknown>
}

/** What is known of a record before the first one is read. */
export class RecordDecoder {
  readonly #expected: string
  readonly #fields: readonly Field[]
  readonly #byName: ReadonlyMap<string, Field>

  constructor(name: string, fields: readonly (readonly [string, Codec<unknown>])[]) {
    this.#expected = `a map (${name})`
    this.#fields = fields.map(([field, codec], index) => ({
      index,
      name: field,
      key: encodeCbor(field),
      codec,
    }))
    this.#byName = new Map(this.#fields.map((field) => [field.name, field]))
  }

  decode(reader: WireReader, issues: Issues): Record<string, unknown> | typeof INVALID {
    const result: Record<string, unknown> = {}
    let next = 0
    for (let count = reader.map(this.#expected); count > 0; count--) {
      const field = this.#key(reader, next)
      if (field === undefined) {
        reader.skip()
        continue
      }
      if (Object.hasOwn(result, field.name)) {
        return issues.report(`duplicate field ${clip(field.name)}`)
      }
      const part = issues.part(field.name, field.codec.decode, reader)
      if (part === INVALID) return INVALID
      result[field.name] = part
      next = field.index + 1
    }
    reader.leave()
    return this.#fillIn(result, issues)
  }

  /** The field whose key comes now; undefined when the record has no such field. */
  #key(reader: WireReader, next: number): Field | undefined {
    // Most peers write all fields in their order: then nothing has to be decoded.
    for (let index = next; index < Math.min(next + SKIPPED, this.#fields.length); index++) {
      const field = this.#fields[index]
      if (field !== undefined && reader.takeBytes(field.key)) return field
    }
    return this.#byName.get(reader.text('a text as key'))
  }

  /** Puts defaults where fields are missing. */
  #fillIn(
    result: Record<string, unknown>,
    issues: Issues,
  ): Record<string, unknown> | typeof INVALID {
    for (const { name, codec } of this.#fields) {
      if (Object.hasOwn(result, name)) continue
      if (!codec.optional) return issues.part(name, () => issues.report('it is missing'), null)
      result[name] = codec.missing()
    }
    return result
  }
}

/** Optional fields are rarely more than this many in a row. */
const SKIPPED = 3
