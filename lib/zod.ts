/**
 * The record formats as schemas of zod: `import { zodSchema } from 'torchbed/zod'`. A separate entry point, because zod
 * takes longer to load than all the rest.
 */

import { z } from 'zod'

import { INVALID, Issues } from './schema/issues.js'
import type { Codec } from './schema/index.js'

/** A schema that reads as {@link Codec.fromValue} does, with every problem at its path. */
export function zodSchema<T>(codec: Codec<T>): z.ZodType<T> {
  return z.transform((input: unknown, context): T => {
    const issues = new Issues()
    const value = codec.read(input, issues)
    if (value !== INVALID) return value
    for (const { path, message } of issues.list()) {
      context.issues.push({ code: 'custom', input, message, path: [...path] })
    }
    return z.NEVER
  })
}
