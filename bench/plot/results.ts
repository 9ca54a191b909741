/** A results file of the benchmark, as `--json` writes it. */

import { readFile } from 'node:fs/promises'
import { z } from 'zod'

/** What the pictures and the table need of a row (bench/row.ts). */
const resultRow = z.object({
  id: z.string().min(1),
  title: z.string(),
  better: z.enum(['at most', 'at least']),
  limit: z.number().positive(),
  unit: z.string().optional(),
  ratio: z.number().nullable(),
  ok: z.boolean().nullable(),
  medians: z.record(z.string(), z.number()),
  skipped: z.string().optional(),
})

const results = z.object({
  machine: z.looseObject({
    date: z.string(),
    cpu: z.string(),
    cores: z.number(),
    memory_gib: z.number(),
    system: z.string(),
    node: z.string(),
    python: z.string(),
    torch: z.string().nullable(),
    load_average: z.number(),
    quick: z.boolean(),
  }),
  seconds: z.number(),
  rows: z.array(resultRow),
})

export type ResultRow = z.infer<typeof resultRow>
export type ResultsFile = z.infer<typeof results>

/** Thrown for a file that is not there or is none of the benchmark's. */
export class ResultsFileError extends Error {
  override readonly name = 'ResultsFileError'
}

export async function readResults(path: string): Promise<ResultsFile> {
  try {
    return results.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)
    throw new ResultsFileError(
      `Cannot read "${path}" as results of the benchmark: ${why}; ` +
        'make one with npm run bench -- --json FILE',
      { cause },
    )
  }
}
