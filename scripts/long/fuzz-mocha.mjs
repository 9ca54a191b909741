/**
 * Runs compiled test files and tells how each test went: `node --expose-gc fuzz-mocha.mjs REPORT FILE...`
 *
 * REPORT gets a line of JSON a test: title, cases, seconds, failed, and the error. The cases are those that the
 * test asked for through test/support/runs.ts; a test that asked for none is no property and has 0.
 */
import { appendFileSync } from 'node:fs'
import process from 'node:process'
import Mocha from 'mocha'
import { takeRuns } from '../../dist/test/support/runs.js'

/** For one test, in milliseconds. */
const TIMEOUT_MS = 1_200_000

const [report, ...files] = process.argv.slice(2)
const mocha = new Mocha({ timeout: TIMEOUT_MS, reporter: 'dot' })
for (const file of files) mocha.addFile(file)
await mocha.loadFilesAsync()
const runner = mocha.run((failures) => (process.exitCode = failures === 0 ? 0 : 1))
runner.on('test', () => takeRuns())
runner.on('pass', (test) => write(test, null))
runner.on('fail', write)

function write(test, error) {
  const line = {
    title: test.fullTitle(),
    cases: takeRuns(),
    seconds: (test.duration ?? 0) / 1000,
    failed: error !== null,
    error: error?.stack ?? null,
  }
  appendFileSync(report, `${JSON.stringify(line)}\n`)
}
