/** Reads the recorded vectors: what the Rust crates compute for random input (see README.md here). */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import {
  parseJson,
  record,
  type Fields,
  type JsonValue,
  type RecordOf,
} from '../../lib/schema/index.js'

/** The parsed content of a file of `vectors/`; integers are `bigint`, floats `number`. */
export function vectorFile(name: string): JsonValue {
  return parseJson(readFileSync(resolve('test/recorded/vectors', `${name}.json`)))
}

/** The entries of a file that is one list, or of one list of a file that has several. */
export function vectors<F extends Fields>(
  value: JsonValue | undefined,
  fields: F,
): readonly RecordOf<F>[] {
  const entry = record('vector', fields)
  return (value as readonly JsonValue[]).map((item) => entry.fromValue(item, 'refuse'))
}
