/**
 * Memory that native threads work on while JavaScript goes on.
 *
 * The addon keeps the arrays alive. That is not enough for memory that goes away under its array: what is shared,
 * resizable or detached is refused, and an array must not be transferred before the promise has settled.
 */
import { isArrayBuffer } from 'node:util/types'
import { NumericsMemoryError } from './errors.js'

type Bytes = Float32Array | Uint8Array

/** The arrays of one call by the names that its caller knows; null and undefined stand for none. */
export type Named<T extends Bytes = Bytes> = Readonly<Record<string, T | null | undefined>>

/**
 * Checks the arrays, runs the work, and checks that they are still there.
 *
 * An array that is written may be one that is read as well, whole, and may overlap with no other.
 *
 * @throws NumericsMemoryError when an array cannot be borrowed, or was transferred meanwhile
 */
export async function borrow<T>(reads: Named, writes: Named, work: () => Promise<T>): Promise<T> {
  const read = present(reads)
  const written = present(writes)
  const all = [...read, ...written]
  for (const [name, array] of all) check(name, array)
  for (const [index, [name, array]] of written.entries()) {
    for (const [other, its] of read) {
      if (overlap(array, its) && !isSame(array, its)) refuseOverlap(name, other)
    }
    for (const [other, its] of written.slice(0, index)) {
      if (overlap(array, its)) refuseOverlap(name, other)
    }
  }
  const sizes = all.map(([, array]) => array.byteLength)
  const result = await work()
  const gone = all.find(([, array], index) => array.byteLength !== sizes[index])
  if (gone === undefined) return result
  throw new NumericsMemoryError(
    `The memory of ${gone[0]} was transferred while native threads worked on it; wait for the promise first`,
  )
}

/**
 * @param count the expected number of elements
 * @throws NumericsMemoryError when an array has another
 */
export function checkLengths(count: number, arrays: Named): void {
  for (const [name, array] of present(arrays)) {
    if (array.length === count) continue
    throw new NumericsMemoryError(
      `${name} has ${array.length} elements, and ${count} are needed; all vectors of a model have one length`,
    )
  }
}

function present(arrays: Named): [string, Bytes][] {
  return Object.entries(arrays).filter((entry): entry is [string, Bytes] => entry[1] != null)
}

function check(name: string, array: Bytes): void {
  const refuse = (why: string) => {
    throw new NumericsMemoryError(
      `Cannot work on ${name}: ${why}; copy it into an array of its own`,
    )
  }
  const given: unknown = array
  if (!(given instanceof Float32Array || given instanceof Uint8Array))
    refuse('it is no typed array')
  const { buffer } = array
  if (!isArrayBuffer(buffer)) refuse('its memory is shared, and others could write to it')
  if ((buffer as { resizable?: boolean }).resizable === true) refuse('its memory is resizable')
  try {
    new Uint8Array(buffer) // Throws when detached.
  } catch {
    refuse('its memory was transferred away')
  }
}

const isSame = (a: Bytes, b: Bytes) =>
  a.byteOffset === b.byteOffset && a.byteLength === b.byteLength

function overlap(a: Bytes, b: Bytes): boolean {
  return (
    a.buffer === b.buffer &&
    a.byteOffset < b.byteOffset + b.byteLength &&
    b.byteOffset < a.byteOffset + a.byteLength
  )
}

function refuseOverlap(name: string, other: string): never {
  throw new NumericsMemoryError(
    `Cannot write ${name}: it overlaps with ${other}; give each its own memory, or the same array whole`,
  )
}
