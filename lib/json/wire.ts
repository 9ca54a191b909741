/**
 * The wire model: what a record is turned into before it becomes JSON or CBOR.
 *
 * It is the data model of serde (spec formats#json and formats#canonical-cbor) in JavaScript values. Codecs make it, the two
 * writers print it, and nothing else needs to know both. Integer and float are apart: `bigint` is always an
 * integer, `number` always a float. `Map` keeps the order of fields whatever their names are.
 */

/** A value of the wire model. Texts are well-formed Unicode; codecs check that. */
export type Wire =
  | null
  | boolean
  | bigint
  | number
  | string
  /** A list of integers 0..255, kept compact. */
  | Uint8Array
  /** A list of 32-bit floats, kept compact. */
  | Float32Array
  | readonly Wire[]
  | ReadonlyMap<string, Wire>

/**
 * Order of two texts by their UTF-8 bytes, as Rust sorts strings: negative, zero or positive.
 * JavaScript's own order, by UTF-16 units, differs above U+FFFF.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = utf8Rank(a.charCodeAt(i)) - utf8Rank(b.charCodeAt(i))
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Orders UTF-16 units as UTF-8 does: surrogates, which stand for what is above U+FFFF, after all others. */
function utf8Rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/** Whether a text has no lone surrogate, so that UTF-8 can hold it. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}
