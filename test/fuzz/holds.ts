/** A property over hostile input, with what every reader owes: bounded time and memory, and no changed prototype. */
import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import fc from 'fast-check'
import { TorchbedError } from '../../lib/index.js'

/** Longest time that one case may take, in milliseconds. One takes microseconds; a busy machine and the collector add. */
export const MAX_CASE_MS = 2000

/** Most that the heap and the memory beside it may have grown after all cases, in bytes. */
export const MAX_GROWTH = 32 * 1024 * 1024

const BUILT_INS = [Object.prototype, Array.prototype, Function.prototype, String.prototype]

/**
 * Checks so many cases. `check` throws when the property does not hold.
 *
 * Fails too when a case takes longer than {@link MAX_CASE_MS}, when a prototype of the language has another
 * property or prototype afterwards, or when memory stays in use.
 */
export async function holds<T>(
  cases: number,
  input: fc.Arbitrary<T>,
  check: (value: T) => unknown,
): Promise<void> {
  const before = inUse()
  const prototypes = shapes()
  const property = fc.asyncProperty(input, async (value) => {
    const start = performance.now()
    // Awaited only where there is something to wait for: that is most of the time of a small case.
    const pending = check(value)
    if (pending instanceof Promise) await pending
    const took = performance.now() - start
    assert.ok(took <= MAX_CASE_MS, `the case took ${Math.round(took)} ms`)
    if (shapes() !== prototypes) assert.fail('a prototype of the language was changed')
  })
  await fc.assert(property, { numRuns: cases })
  const growth = inUse() - before
  assert.ok(growth <= MAX_GROWTH, `${growth} bytes stay in use after ${cases} cases`)
}

/** What `read` gives; undefined when it refuses with a TorchbedError, or with an error that `isDocumented` knows. */
export function outcome<T>(
  read: () => T,
  isDocumented: (error: unknown) => boolean = (error) => error instanceof TorchbedError,
): { readonly value: T } | undefined {
  try {
    return { value: read() }
  } catch (error) {
    if (!isDocumented(error)) throw error
    return undefined
  }
}

function shapes(): string {
  let text = ''
  for (const builtIn of BUILT_INS) {
    text += `${Reflect.ownKeys(builtIn).length},${Object.keys(builtIn).length};`
    if (builtIn !== Object.prototype && Object.getPrototypeOf(builtIn) !== Object.prototype) {
      text += 'other prototype;'
    }
  }
  return text
}

/** Bytes of the heap and of buffers beside it. */
function inUse(): number {
  assert.ok(globalThis.gc, 'run with --expose-gc, or memory cannot be measured')
  globalThis.gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
