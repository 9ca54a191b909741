/** Integers of 8 bits: 1.016 bytes a value. */
import { Codec, scalesLength } from './codec.js'

/**
 * Blocks of 256 values with one scale each, their largest magnitude / 127: first all scales (binary32), then all
 * values as whole multiples (-127..127) of their block's scale, ties to even. A block below 2^-100 is sent as zeros.
 */
export const int8 = new Codec({
  name: 'int8',
  number: 3,
  feedback: 1,
  length: (count) => scalesLength(count, 256) + count,
})
