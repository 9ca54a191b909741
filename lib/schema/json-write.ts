/** Writes the wire model as JSON, byte for byte as the reference does (spec section 6.1). */

import { float32Text, float64Text } from './float-text.js'
import type { Wire } from './wire.js'

/** How JSON is laid out. */
export interface JsonStyle {
  /** Two-space indent, as in stored files. Default `false`: no white space at all. */
  readonly pretty?: boolean
}

/** The JSON text of a wire value. NaN and infinities become `null`; there is no final newline. */
export function writeJson(value: Wire, style: JsonStyle = {}): string {
  return text(value, style.pretty === true ? '\n' : '')
}

/** `newline` is a line break and the indent of the line that `value` starts on; empty when compact. */
function text(value: Wire, newline: string): string {
  if (value === null) return 'null'
  switch (typeof value) {
    case 'string':
      return quote(value)
    case 'number':
      return Number.isFinite(value) ? float64Text(value) : 'null'
    case 'bigint':
    case 'boolean':
      return value.toString()
    default:
  }
  const inner = newline === '' ? '' : `${newline}  `
  const colon = newline === '' ? ':' : ': '
  if (value instanceof Map) {
    const fields: string[] = []
    for (const [key, item] of value as ReadonlyMap<string, Wire>) {
      fields.push(`${quote(key)}${colon}${text(item, inner)}`)
    }
    return enclose('{', fields, '}', newline, inner)
  }
  return enclose(
    '[',
    items(value as Exclude<typeof value, ReadonlyMap<string, Wire>>, inner),
    ']',
    newline,
    inner,
  )
}

function items(value: Uint8Array | Float32Array | readonly Wire[], newline: string): string[] {
  if (value instanceof Uint8Array) return Array.from(value, String)
  if (value instanceof Float32Array) {
    return Array.from(value, (item) => (Number.isFinite(item) ? float32Text(item) : 'null'))
  }
  return value.map((item) => text(item, newline))
}

function enclose(
  open: string,
  parts: string[],
  close: string,
  newline: string,
  inner: string,
): string {
  if (parts.length === 0) return open + close
  return `${open}${inner}${parts.join(`,${inner}`)}${newline}${close}`
}

/** A text in quotes. The escapes of JSON.stringify are those of serde_json, as long as no surrogate stands alone. */
function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text)
}

/** Texts of ASCII without escapes; to know them costs half of what JSON.stringify does. */
const PLAIN = /^[ !#-[\]-~]*$/
