/** IEEE 754 halves: 2 bytes a value. */
import { Codec } from './codec.js'

/** Little-endian binary16, to nearest, ties to even; magnitudes above 65504 are sent as 65504. */
export const fp16 = new Codec({
  name: 'fp16',
  number: 1,
  feedback: 1,
  length: (count) => 2 * count,
})
