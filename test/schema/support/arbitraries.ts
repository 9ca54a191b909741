/** Random values for property tests. */

import fc from 'fast-check'

import type { JsonValue } from '../../../lib/json/parser.js'
import type { Wire } from '../../../lib/json/wire.js'

/** Any text that UTF-8 can hold, `__proto__` and names of Object.prototype among them. */
export const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.constantFrom('__proto__', 'constructor', 'toString', '10', '9', '', '\u{10ffff}', '\uffff'),
)

/** Doubles with many that fit a half or a single. */
export const floats = fc.oneof(
  fc.double(),
  fc.float(),
  fc.integer({ min: -70000, max: 70000 }).map((value) => value / 1024),
  fc.integer({ min: 0, max: 0x8000 }).map((value) => value * 2 ** -26),
)

/** Floats that JSON can hold. */
export const finiteFloats = floats.filter(Number.isFinite)

/** Integers from -2^63 to 2^64 - 1, near every width of a CBOR head. */
export const integers = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.integer({ min: -70000, max: 70000 }).map(BigInt),
  fc.constantFrom(23n, 24n, 255n, 256n, 65535n, 65536n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 64n - 1n),
)

/** Any value of the wire model. */
export const wires = fc.letrec<{ wire: Wire }>((tie) => ({
  wire: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<Wire>(null, true, false),
    integers,
    floats,
    texts,
    fc.uint8Array(),
    fc.float32Array(),
    fc.array(tie('wire')),
    fc.array(fc.tuple(texts, tie('wire'))).map((entries) => new Map(entries)),
  ),
})).wire

/** Any JSON with integers and floats apart. */
export const jsons = fc.letrec<{ json: JsonValue }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<JsonValue>(null, true, false),
    integers,
    finiteFloats,
    texts,
    fc.array(tie('json')),
    fc.array(fc.tuple(texts, tie('json'))).map((entries) => Object.fromEntries(entries)),
  ),
})).json
