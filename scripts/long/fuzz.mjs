/** The part `fuzz`: properties over generated and hostile input, each with 20 000 cases or what its time allows. */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import os from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { atOnce } from '../support/at-once.mjs'
import { ROOT, VENV_PYTHON } from '../support/paths.mjs'
import { lastLines, run as runProgram } from '../support/process.mjs'
import { note } from '../support/progress.mjs'
import { isAsked } from './asked.mjs'

/** Processes at one time; the slowest cells stand first. */
const AT_ONCE = 2

/** A cell is a file with properties: its name, and where it is. */
const CELLS = {
  'python-worker': 'python/tests/test_fuzz_worker.py',
  'python-headers': 'python/tests/test_fuzz_headers.py',
  records: 'dist/test/fuzz/records.test.js',
  readers: 'dist/test/fuzz/readers.test.js',
  'store-records': 'dist/test/fuzz/store-records.test.js',
  'python-values': 'dist/test/fuzz/python-values.test.js',
  values: 'dist/test/runtime/values-property.test.js',
  'worker-protocol': 'dist/test/runtime/worker-protocol.test.js',
  safetensors: 'dist/test/safetensors/differential.test.js',
  json: 'dist/test/schema/json.test.js',
  'json-parser': 'dist/test/json/parser.test.js',
  cbor: 'dist/test/schema/cbor.test.js',
  codecs: 'dist/test/schema/codec.test.js',
  'float-text': 'dist/test/json/float-text.test.js',
  timestamps: 'dist/test/schema/timestamp.test.js',
  patches: 'dist/test/schema/values.test.js',
  'path-components': 'dist/test/schema/path-component.test.js',
  'safetensors-headers': 'dist/test/safetensors/header.test.js',
  descriptors: 'dist/test/store/descriptor.test.js',
  locators: 'dist/test/data/hostile-paths.test.js',
  'fetch-manifest': 'dist/test/data/manifest-json.test.js',
}

export async function run({ quick, cell }) {
  const asked = Object.entries(CELLS).filter(([name]) => isAsked(name, cell))
  const properties = []
  const failures = []
  const folder = await mkdtemp(join(os.tmpdir(), 'torchbed-fuzz-'))
  try {
    await atOnce(AT_ONCE, asked, async ([name, file]) => {
      const report = join(folder, name)
      const { ok, ending, output } = await runCell(file, report, quick)
      const found = await linesOf(report)
      properties.push(...found.map((property) => ({ cell: name, ...property })))
      for (const { title, cases, seconds, failed } of found) {
        const verdict = failed ? 'FAIL' : 'ok  '
        note(`${verdict} ${name}: ${title} (${cases} cases, ${seconds.toFixed(1)} s)`)
      }
      const repeat = `npm run test:long -- --only fuzz --cell ${name}`
      const failed = found.filter((property) => property.failed)
      const details = (error) => error ?? lastLines(output, 60)
      failures.push(
        ...failed.map(({ title, error }) => ({ name: title, details: details(error), repeat })),
      )
      if (!ok && failed.length === 0)
        failures.push({ name: `${name}: ${ending}`, details: details(null), repeat })
      if (failed.length > 0 || !ok) note(details(failed[0]?.error))
    })
  } finally {
    await rm(folder, { recursive: true })
  }
  return { cells: properties.length, failures, properties }
}

function runCell(file, report, quick) {
  const env = {
    TORCHBED_PYTHON: VENV_PYTHON,
    TORCHBED_FULL: quick ? undefined : '1',
    TORCHBED_FUZZ_REPORT: report,
  }
  if (file.endsWith('.py')) {
    const config = join(ROOT, 'python', 'pyproject.toml')
    const options = ['-m', 'pytest', '-q', '-c', config, '-p', 'no:cacheprovider']
    return runProgram(VENV_PYTHON, [...options, join(ROOT, file)], { env })
  }
  const program = join(ROOT, 'scripts', 'long', 'fuzz-mocha.mjs')
  return runProgram(process.execPath, ['--expose-gc', program, report, join(ROOT, file)], { env })
}

/** The tests that generated cases, and those that failed. */
async function linesOf(report) {
  if (!existsSync(report)) return []
  const lines = (await readFile(report, 'utf8')).split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line)).filter(({ cases, failed }) => cases > 0 || failed)
}
