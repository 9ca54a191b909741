/** Test data of the golden file, and comparison of vectors by their bits. */
import assert from 'node:assert/strict'

const f = Math.fround
const MASK = 2n ** 64n - 1n

/** n float32 in (-1, 1): the top 24 bits of splitmix64 as a fraction, minus a half, doubled. */
export function uniform(seed: number, n: number): Float32Array {
  const out = new Float32Array(n)
  let state = BigInt(seed)
  for (let i = 0; i < n; i++) {
    state = (state + 0x9e3779b97f4a7c15n) & MASK
    let z = state
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK
    z ^= z >> 31n
    out[i] = (Number(z >> 40n) / 2 ** 24 - 0.5) * 2
  }
  return out
}

/** n float32 with heavy tails, a product of three uniform ones: what gradients look like. */
export function heavy(seed: number, n: number): Float32Array {
  const [a, b, c] = [uniform(seed, n), uniform(seed + 1, n), uniform(seed + 2, n)]
  return a.map((value, i) => f(f(value * b[i]!) * c[i]!))
}

export const hex = (x: Uint8Array | Float32Array) =>
  Buffer.from(x.buffer, x.byteOffset, x.byteLength).toString('hex')
export const unhex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'))
export const floatsOf = (text: string) => new Float32Array(unhex(text).buffer)

/** The same bits; -0 is not +0. */
export function assertSameBits(actual: Float32Array, expected: Float32Array, what: string): void {
  assert.equal(actual.length, expected.length, what)
  const a = new Uint32Array(actual.buffer, actual.byteOffset, actual.length)
  const b = new Uint32Array(expected.buffer, expected.byteOffset, expected.length)
  const at = a.findIndex((bits, i) => bits !== b[i])
  if (at >= 0) assert.fail(`${what}: element ${at} is ${actual[at]!}, not ${expected[at]!}`)
}
