/**
 * Writes the wire model as the CBOR that peers send each other (spec network#wire-cbor).
 *
 * It differs from the form that is hashed in floats alone, which always have their full width here: a reader of
 * the reference refuses an f64 of fewer than nine bytes. {@link WireReader} reads it.
 */

import type { Wire } from '../json/wire.js'
import { bitsOf, encodeWith, type FloatStyle } from './cbor-sink.js'

/** The bytes of a wire value as peers send them. Integers must not lie below -2^64; codecs see to that. */
export function encodeWireCbor(value: Wire): Uint8Array {
  return encodeWith(FULL_WIDTH, value)
}

const FULL_WIDTH: FloatStyle = {
  double: (sink, value) => sink.double(value),
  singles(sink, values) {
    for (const bits of bitsOf(values)) sink.single(bits)
  },
}
