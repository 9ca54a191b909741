/**
 * `npm run bench:plot -- FILE.json [--out FOLDER] [--page FILE]`
 *
 * Draws the pictures of a results file into FOLDER (default docs/internals/benchmarks) and writes its table into the
 * page (default docs/internals/benchmarks.md), so that page, pictures and file cannot differ. The same file
 * gives the same bytes.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { pictures } from './charts.js'
import { withResults } from './page.js'
import { readResults, ResultsFileError } from './results.js'

const USAGE =
  'Usage: npm run bench:plot -- FILE.json [--out docs/internals/benchmarks] [--page docs/internals/benchmarks.md]'

/** Exit code: 0, or 2 for a command line or a file that will not do. */
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string' }, page: { type: 'string' } },
  })
  const [file] = positionals
  if (file === undefined || positionals.length > 1) {
    console.error(USAGE)
    return 2
  }
  const docs = join(packageRoot(), 'docs', 'internals')
  const out = values.out ?? join(docs, 'benchmarks')
  const page = values.page ?? join(docs, 'benchmarks.md')
  const results = await readResults(file)
  const text = withResults(await readFile(page, 'utf8'), results)
  await mkdir(out, { recursive: true })
  for (const [name, svg] of Object.entries(pictures(results))) {
    await writeFile(join(out, name), svg)
    console.log(join(out, name))
  }
  await writeFile(page, text)
  console.log(page)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  const { code, message } = error as Error & { code?: string }
  if (!(error instanceof ResultsFileError) && code?.startsWith('ERR_PARSE_ARGS') !== true)
    throw error
  console.error(`${message}\n${USAGE}`)
  process.exitCode = 2
}
