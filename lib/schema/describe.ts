/** Short descriptions of foreign values, for messages. */

import { clip } from '../core/quoting.js'
import { float64Text } from '../json/float-text.js'

/** What a value is, such as `"abc"`, `1.0`, `an array of 3` or `nothing (it is missing)`. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'undefined':
      return 'nothing (it is missing)'
    case 'string':
      return clip(value)
    case 'bigint':
    case 'boolean':
      return value.toString()
    case 'number':
      return Number.isFinite(value) ? float64Text(value) : String(value)
    case 'object':
      if (value === null) return 'null'
      return Array.isArray(value) ? `an array of ${value.length}` : 'an object'
    default:
      return `a ${typeof value}`
  }
}
