/**
 * Install the package as a user does, on every Node.js and Python of a matrix: `npm run matrix`.
 *
 * docs/internals/install-matrix.md says what a cell is. The table is the last thing on stdout, before the failures with the
 * command that repeats each. Progress goes to stderr. The exit code is 1 when something failed, 2 for a wrong option, or
 * when a cell cannot be set up.
 */
import { writeFile } from 'node:fs/promises'
import process from 'node:process'
import { HELP, readOptions } from './matrix/options.mjs'
import { writeReadme } from './matrix/readme.mjs'
import { runMatrix } from './matrix/run.mjs'
import { failuresOf, textTable } from './matrix/table.mjs'
import { Failure, reportFailure } from './support/failure.mjs'
import { note } from './support/progress.mjs'

try {
  const options = readOptions(process.argv.slice(2))
  if (options.help) console.log(HELP)
  else await main(options)
} catch (error) {
  reportFailure('matrix', error)
  process.exitCode = error instanceof Failure ? 2 : 1
}

async function main(options) {
  const result = await runMatrix(options)
  console.log(textTable(result))
  if (options.json !== null) await writeFile(options.json, `${JSON.stringify(result, null, 2)}\n`)
  if (options.readme) {
    await writeReadme(result)
    note('docs/internals/install-matrix.md has the table.')
  }
  const failures = failuresOf(result)
  for (const { name, repeat } of failures) console.log(`failed: ${name}; again: ${repeat}`)
  if (result.cells.length === 0) console.log('No cell was executed.')
  if (result.cells.length === 0 || failures.length > 0) process.exitCode = 1
}
