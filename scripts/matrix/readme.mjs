/** The table of the matrix in docs/internals/install-matrix.md, between two marks. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { markdownTable } from './table.mjs'

const PAGE = join(ROOT, 'docs', 'internals', 'install-matrix.md')
const START = '<!-- matrix:start -->'
const END = '<!-- matrix:end -->'

/** @throws Failure when the page lacks the marks */
export async function writeReadme(result) {
  const text = withTable(await readFile(PAGE, 'utf8'), markdownTable(result))
  const { format, resolveConfig } = await import('prettier')
  const options = { ...(await resolveConfig(PAGE)), parser: 'markdown' }
  await writeFile(PAGE, await format(text, options))
}

/** `document` with `table` between the marks, in place of what is there. */
export function withTable(document, table) {
  const start = document.indexOf(START)
  const end = document.indexOf(END)
  if (start === -1 || end < start) {
    throw new Failure(
      'docs/internals/install-matrix.md has no place for the table',
      `put the lines ${START} and ${END} where it belongs`,
    )
  }
  return `${document.slice(0, start + START.length)}\n\n${table}\n\n${document.slice(end)}`
}
