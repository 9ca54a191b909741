/** The values as they are, little-endian: 4 bytes a value. */
import { Codec } from './codec.js'

/** Little-endian binary32; nothing is lost, and nothing owed. */
export const fp32 = new Codec({
  name: 'fp32',
  number: 0,
  feedback: 1,
  length: (count) => 4 * count,
})
