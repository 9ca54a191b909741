/** Writes the wire model as JSON, byte for byte as the reference does (spec formats#json). */

import { JSON_PIECE_LENGTH } from './constants.js'
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

/** The UTF-8 of {@link writeJson}'s text, in pieces of some {@link JSON_PIECE_LENGTH}; no item is cut in two. */
export function* writeJsonPieces(value: Wire, style: JsonStyle = {}): Generator<Uint8Array> {
  let piece = ''
  for (const part of parts(value, style.pretty === true ? '\n' : '', CUT_LEVELS)) {
    piece += part
    if (piece.length < JSON_PIECE_LENGTH) continue
    yield Buffer.from(piece)
    piece = ''
  }
  if (piece !== '') yield Buffer.from(piece)
}

/** Records with many entries hold them in lists, so cutting at two levels is enough. */
const CUT_LEVELS = 2

function* parts(value: Wire, newline: string, levels: number): Generator<string> {
  const isMap = value instanceof Map
  if (levels === 0 || !(isMap || Array.isArray(value))) {
    yield text(value, newline)
    return
  }
  const container = value as ReadonlyMap<string, Wire> | readonly Wire[]
  const [open, close] = isMap ? '{}' : '[]'
  const [inner, colon] = newline === '' ? ['', ':'] : [`${newline}  `, ': ']
  let separator = open
  for (const [key, item] of container.entries()) {
    yield `${separator}${inner}${isMap ? quote(String(key)) + colon : ''}`
    yield* parts(item, inner, levels - 1)
    separator = ','
  }
  yield separator === open ? `${open}${close}` : `${newline}${close}`
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
