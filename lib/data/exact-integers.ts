/** Integer arithmetic on numbers up to 2^53 - 1, where division in floats would round. */

import { DataSchemaError } from './errors.js'

/** `a / b` rounded up, exactly. Both are safe integers, `b` at least 1. */
export function ceilDivide(a: number, b: number): number {
  const rest = a % b
  return (a - rest) / b + (rest === 0 ? 0 : 1)
}

/**
 * A sum that stays exact.
 *
 * @param what names the sum in the error
 * @throws DataSchemaError when a part is not an integer from 0 to 2^53 - 1, or the sum is beyond it
 */
export function sumExact(what: string, parts: Iterable<number>): number {
  let sum = 0
  for (const part of parts) {
    if (!Number.isSafeInteger(part) || part < 0 || !Number.isSafeInteger(sum + part)) {
      throw new DataSchemaError(
        `${what} must be integers that add up to at most 2^53 - 1; got ${part} after ${sum}`,
      )
    }
    sum += part
  }
  return sum
}
