/**
 * The part `sanitizers`: the native code under each sanitizer, on the running Node.js.
 *
 * A cell is a sanitizer and a test file: `address/runtime/values`. A quick run takes the first files of each.
 */
import { sanitize } from '../sanitize/run.mjs'
import { SANITIZERS } from '../sanitize/sanitizers.mjs'
import { note } from '../support/progress.mjs'
import { isAsked } from './asked.mjs'

/** Files of each sanitizer in a quick run. */
const QUICK_FILES = 2

export async function run({ quick, cell, times }) {
  const failures = []
  let cells = 0
  for (const [name, sanitizer] of Object.entries(SANITIZERS)) {
    const asked = sanitizer.tests.filter((file) => isAsked(cellOf(name, file), cell))
    const files = quick ? asked.slice(0, QUICK_FILES) : asked
    if (files.length === 0) continue
    const often = Array.from({ length: times ?? 1 }).flatMap(() => files)
    note(`${sanitizer.title}: ${often.length} test files`)
    for (const { file, what } of await sanitize(sanitizer, often)) {
      const title = `${sanitizer.title}: ${file}`
      const repeat = `npm run test:${sanitizer.folder} -- ${files.includes(file) ? file : ''}`
      failures.push({ name: title, details: what, repeat: repeat.trim() })
    }
    cells += often.length
  }
  return { cells, failures }
}

function cellOf(name, file) {
  return `${name}/${file.replace(/^test\/|\.test\.ts$/g, '')}`
}
