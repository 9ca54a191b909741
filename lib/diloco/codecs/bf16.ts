/** The upper halves of binary32: 2 bytes a value. */
import { Codec } from './codec.js'

/** bfloat16, to nearest, ties to even. */
export const bf16 = new Codec({
  name: 'bf16',
  number: 2,
  feedback: 1,
  length: (count) => 2 * count,
})
