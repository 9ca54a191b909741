/** The largest values alone: 0.0293 bytes a value, as SparseLoCo does (arXiv 2508.15706). */
import { Codec } from './codec.js'

const CHUNK = 4096
const KEPT = 64

/**
 * Of each chunk of 4,096 values the 64 of largest magnitude (of a shorter one the same share, at least one; ties:
 * the lower index), the larger half of them sent as its mean magnitude, the others as theirs. A chunk is the two
 * levels (binary32), the ascending indices of 12 bits, and codes of 2 bits (1: the higher level, 2: negative).
 * What is owed fades by 5 % a round.
 */
export const topk = new Codec({
  name: 'topk',
  number: 6,
  feedback: 0.95,
  length: (count) =>
    Math.floor(count / CHUNK) * chunkLength(CHUNK) +
    (count % CHUNK === 0 ? 0 : chunkLength(count % CHUNK)),
})

function chunkLength(count: number): number {
  const kept = Math.max(1, Math.floor((count * KEPT) / CHUNK))
  return 8 + Math.ceil((12 * kept) / 8) + Math.ceil((2 * kept) / 8)
}
