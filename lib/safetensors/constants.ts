/** What the safetensors format fixes, as version 0.8 of the reference reader knows it. */

/** Bytes before the header: its length, a little-endian unsigned 64-bit integer. */
export const LENGTH_BYTES = 8

/** Longest header that is read by default, in bytes; the reference reader stops there too. */
export const MAX_HEADER_BYTES = 100_000_000

/** Deepest nesting of a header, ignored fields included; the reference reader stops there too. */
export const MAX_HEADER_DEPTH = 127

/** Largest element count and bit count of a tensor: the reference counts in unsigned 64-bit integers. */
export const U64_MAX = 2n ** 64n - 1n

/** Bits of one element, by dtype. Those below eight are packed; a tensor still ends with a whole byte. */
export const DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const

/** Name of an element type, such as `F32` or `BF16`. */
export type Dtype = keyof typeof DTYPE_BITS
