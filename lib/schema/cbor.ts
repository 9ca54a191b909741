/**
 * Writes the wire model as CBOR in the one form that content ids are made of (spec formats#canonical-cbor).
 *
 * It is deterministic, but not the sorted form of RFC 8949: fields stay in declaration order, and bytes are
 * arrays of integers. Floats take the shortest of half, single and double that keeps their 64 bits.
 */

import type { Wire } from '../json/wire.js'
import { bitsOf, encodePiecesWith, encodeWith, type FloatStyle } from './cbor-sink.js'

/** The CBOR bytes of a wire value. Integers must not lie below -2^64; codecs see to that. */
export function encodeCbor(value: Wire): Uint8Array {
  return encodeWith(SHORTEST, value)
}

/** The bytes of {@link encodeCbor}, in pieces of some kilobytes. */
export function encodeCborPieces(value: Wire): Generator<Uint8Array> {
  return encodePiecesWith(SHORTEST, value)
}

const SHORTEST: FloatStyle = {
  double(sink, value) {
    const single = Float32Array.of(value)
    if (Object.is(single[0], value)) this.singles(sink, single)
    else sink.double(value)
  },
  singles(sink, values) {
    for (const bits of bitsOf(values)) {
      const half = halfBits(bits)
      if (half === undefined) sink.single(bits)
      else sink.half(half)
    }
  },
}

/** The bits of a 32-bit float as an IEEE half, or undefined when a half cannot hold it exactly. */
function halfBits(bits: number): number | undefined {
  const sign = (bits >>> 16) & 0x8000
  const exponent = ((bits >>> 23) & 0xff) - 127
  const mantissa = bits & 0x7fffff
  if (exponent >= -14 && exponent <= 15) {
    if ((mantissa & 0x1fff) !== 0) return undefined
    return sign | ((exponent + 15) << 10) | (mantissa >>> 13)
  }
  if (exponent === 128) return mantissa === 0 ? sign | 0x7c00 : CANONICAL_NAN
  if ((bits & 0x7fffffff) === 0) return sign
  // A subnormal half counts in units of 2^-24.
  if (exponent >= -24 && exponent < -14) {
    const shift = -1 - exponent
    const significand = mantissa | 0x800000
    if ((significand & ((1 << shift) - 1)) !== 0) return undefined
    return sign | (significand >>> shift)
  }
  return undefined
}

const CANONICAL_NAN = 0x7e00
