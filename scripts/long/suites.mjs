/**
 * The parts `doctor` and `docs`: test files of `npm test` that show what a user meets first.
 *
 * A cell is a file: `doctor/torch/doctor`, `docs/tools/docs/blocks`.
 */
import { join } from 'node:path'
import process from 'node:process'
import { isAsked } from './asked.mjs'
import { ROOT, VENV_PYTHON } from '../support/paths.mjs'
import { lastLines, run } from '../support/process.mjs'
import { note } from '../support/progress.mjs'

const MOCHA = join(ROOT, 'node_modules', 'mocha', 'bin', 'mocha.js')

/** In milliseconds, for one test. */
const TIMEOUT_MS = 300_000

/**
 * @param {string} part its name
 * @param {string[]} files below dist/test, without `.test.js`
 * @returns the `run` of the part
 */
export function suites(part, files) {
  return async ({ cell, times }) => {
    const names = files.filter((name) => isAsked(`${part}/${name}`, cell))
    const runs = Array.from({ length: times ?? 1 }).flatMap(() => names)
    const failures = []
    for (const name of runs) {
      const file = join(ROOT, 'dist', 'test', `${name}.test.js`)
      const args = ['--expose-gc', MOCHA, '--no-config', '--timeout', String(TIMEOUT_MS), file]
      const env = { TORCHBED_PYTHON: VENV_PYTHON }
      const { ok, ending, output } = await run(process.execPath, args, { env })
      const passed = Number(/^ *(\d+) passing/m.exec(output)?.[1] ?? 0)
      const isFine = ok && passed > 0
      note(`${isFine ? 'ok  ' : 'FAIL'} ${part}/${name}: ${passed} passed, ${ending}`)
      if (isFine) continue
      const repeat = `npm run test:long -- --only ${part} --cell ${part}/${name}`
      failures.push({ name: `${part}/${name}: ${ending}`, details: lastLines(output, 60), repeat })
    }
    return { cells: runs.length, failures }
  }
}
