/**
 * What crosses between JavaScript and Python. docs/reference/values.md is the whole table.
 */

import type { LentBuffer } from './lent-buffer.js'

/** Deepest nesting of lists and dicts that may cross, in levels; `kMaxDepth` of the bridge. */
export const MAX_VALUE_DEPTH = 128

/**
 * A number that must be a Python `float` although it is whole: `new PyFloat(1)` arrives as `1.0`,
 * while a bare `1` arrives as the int `1`.
 */
export class PyFloat {
  constructor(readonly value: number) {}
}

/** What may be passed to Python. Objects must be plain; an `undefined` property is left out. */
export type PyInput =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Date
  | PyFloat
  | LentBuffer
  | ArrayBufferView
  | ArrayBufferLike
  | readonly PyInput[]
  | ReadonlyMap<string | number | bigint | boolean | null, PyInput>
  | { readonly [key: string]: PyInput }

/**
 * What arrives from Python: every int is a `bigint` and every float a `number`, so that `1` and `1.0`
 * stay apart as they do in the formats. A dict whose keys are not all str arrives as a `Map`.
 */
export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PyValue[]
  | Map<PyValue, PyValue>
  | { [key: string]: PyValue }
