/** The hash that replicas compare after each round. */
import { borrow } from './memory.js'
import { numerics } from './numerics.js'

/**
 * SHA-256, in lower-case hex, over the SHA-256 of each MiB of the little-endian bytes of the arrays, one after the
 * other: theta, then the moments that the outer optimizer has. The leaves are hashed on several threads.
 *
 * @throws NumericsMemoryError when an array cannot be borrowed
 */
export async function stateRoot(...arrays: readonly Float32Array[]): Promise<string> {
  const reads = Object.fromEntries(arrays.map((array, index) => [`array ${index}`, array]))
  const digest = await borrow(reads, {}, () => numerics().root(arrays))
  return Buffer.from(digest).toString('hex')
}
