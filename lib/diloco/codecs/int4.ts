/** Integers of 4 bits: 0.516 bytes a value, as Streaming DiLoCo sends outer gradients (arXiv 2501.18512). */
import { Codec, scalesLength } from './codec.js'

/**
 * As `int8` with the multiples -7..7: two's complement nibbles, the lower one first, the last one padded with 0.
 */
export const int4 = new Codec({
  name: 'int4',
  number: 4,
  feedback: 1,
  length: (count) => scalesLength(count, 256) + Math.ceil(count / 2),
})
