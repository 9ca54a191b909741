/** Signs: 0.129 bytes a value. */
import { Codec, scalesLength } from './codec.js'

/**
 * Blocks of 1,024 values with one scale each, their mean magnitude: first all scales (binary32), then a bit a value,
 * 1 for negative, lowest bit first. Zero is sent as +.
 */
export const sign = new Codec({
  name: 'sign',
  number: 5,
  feedback: 1,
  length: (count) => scalesLength(count, 1024) + Math.ceil(count / 8),
})
