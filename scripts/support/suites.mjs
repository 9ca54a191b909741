/** The test suites: each runs in a separate process and answers how many tests passed. */
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { clearInterval, setInterval } from 'node:timers'
import { ROOT, VENV_PYTHON } from './paths.mjs'
import { run } from './process.mjs'
import { changeTime, filesBelow, readJson } from './stamp.mjs'

const RESULTS = join(ROOT, 'build', 'test')

/** How long a runner may take to end once it has left its counts, in milliseconds. */
const ENDING_MS = 30_000

/**
 * The suites of `npm run check`, in its order. `mocha` lists folders and files below dist/test, of which
 * `alone` is run by itself afterwards, as what it measures suffers beside other tests; `pytest` lists folders.
 *
 * - `unit`: the library in this process. What is in no other suite belongs here
 * - `process`: processes that leave, crash, get signals; workers; the command line
 * - `network`: peers in processes of their own, on loopback
 * - `rust`: peers of burn_p2p, compiled with cargo; skipped without it
 * - `torch`: what imports torch: real trainings, examples, the programs of the documents
 * - `tools`: the documents, the package, and the scripts of this repository
 */
export const SUITES = {
  unit: { pytest: ['python/tests'] },
  process: { mocha: ['process'] },
  network: { mocha: ['network'] },
  rust: { mocha: ['rust'] },
  torch: { mocha: ['torch'], pytest: 'examples' },
  tools: { mocha: ['tools'] },
}

/** Files that run at one time, in suites whose files do not get in each other's way. */
const JOBS = 2

/** These measure time or memory, or need the machine's processors: nothing runs beside them. */
const ALONE = /[/\\][^/\\]*\.alone\.test\.js$/

/**
 * Run suites, print their own output, and return their sum.
 *
 * @param {string[]} names of {@link SUITES}
 * @param {string[]} args narrow the run: `--grep words` and test files. `test/a/b.test.ts` goes to mocha,
 *   `python/tests/test_a.py` to pytest; files replace the suites
 */
export async function runTests(names, args = []) {
  const forPytest = args.filter((arg) => /\.py(::|$)/.test(arg))
  const files = args.filter(isTestFile).map(compiledTest)
  const others = args.filter((arg) => !forPytest.includes(arg) && !isTestFile(arg))
  const results = []
  const add = async (what, run) => {
    const start = performance.now()
    const result = await run()
    const seconds = ((performance.now() - start) / 1000).toFixed(0)
    results.push({ what: `${what}, ${seconds} s`, ...result })
  }
  if (files.length > 0) await add('mocha', () => runMocha([...files, ...others], 1))
  if (forPytest.length > 0) await add('pytest', () => runPytest(forPytest))
  if (files.length + forPytest.length === 0) {
    for (const name of names) await runSuiteOf(name, others, add)
  }
  for (const { complaint } of results) if (complaint !== undefined) console.log(complaint)
  const sum = { passed: 0, failed: 0, skipped: 0 }
  for (const result of results) {
    for (const key of Object.keys(sum)) sum[key] += result[key]
    const { what, passed, failed, skipped } = result
    if (results.length > 1)
      console.log(`${what}: ${passed} passed ${failed} failed ${skipped} skipped`)
  }
  return sum
}

async function runSuiteOf(name, args, add) {
  const files = await filesOfSuite(name)
  const alone = files.filter((file) => ALONE.test(file))
  const together = files.filter((file) => !alone.includes(file))
  const isFiltered = args.length > 0
  if (together.length > 0) {
    await add(name, () => runMocha([...together, ...args], JOBS, isFiltered))
  }
  if (alone.length > 0)
    await add(`${name} alone`, () => runMocha([...alone, ...args], 1, isFiltered))
  if (isFiltered) return
  const { pytest = [] } = SUITES[name]
  const folders = pytest === 'examples' ? await pythonTestFolders('examples') : pytest
  // One process for each folder: their conftest.py files would get in each other's way.
  for (const folder of folders) await add(`${name}, ${folder}`, () => runPytest([folder], JOBS))
}

/** The compiled test files of a suite. */
export async function filesOfSuite(name) {
  const all = await filesBelow(['dist/test'], (path) => path.endsWith('.test.js'))
  const suiteOf = (path) => {
    const folder = relative(join(ROOT, 'dist', 'test'), path).split(/[/\\]/)[0]
    return Object.keys(SUITES).find((suite) => SUITES[suite].mocha?.includes(folder)) ?? 'unit'
  }
  // Stale ones, of sources that are gone, are not run.
  const sourceOf = (path) => path.replace(join(ROOT, 'dist'), ROOT).replace(/\.js$/, '.ts')
  return all.filter((path) => suiteOf(path) === name && existsSync(sourceOf(path)))
}

/** Print the closing line, and set the exit code. Nothing executed is a failure, too. */
export function closeWith({ passed, failed, skipped }) {
  if (passed + failed === 0) console.log('No test was executed.')
  if (failed > 0 || passed === 0) process.exitCode = 1
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
}

/**
 * Run mocha.
 *
 * @param {string[]} args compiled test files and options
 * @param {number} jobs files that run at one time, each in a process of its own when more than one
 * @param {boolean} mayBeEmpty whether it is fine that no test matches
 * @returns {Promise<{passed: number, failed: number, skipped: number, complaint?: string}>}
 */
async function runMocha(args, jobs, mayBeEmpty = false) {
  const counts = await resultFile('json')
  const mocha = join(ROOT, 'node_modules', 'mocha', 'bin', 'mocha.js')
  const reporter = join(ROOT, 'scripts', 'support', 'counting-reporter.cjs')
  const options = ['--timeout', '60000', '--forbid-only', '--reporter', reporter]
  if (jobs > 1) options.push('--parallel', '--jobs', String(jobs))
  const command = [process.execPath, '--expose-gc', mocha, '--no-config', ...options, ...args]
  const ending = await runSuite(command, counts, { TORCHBED_TEST_COUNTS: counts })
  return judge('mocha', ending, await readCounts(counts), mayBeEmpty)
}

/** The same with pytest; files are handed out whole, as their fixtures are. */
async function runPytest(targets, jobs = 1) {
  const counts = await resultFile('xml')
  const config = join(ROOT, 'python', 'pyproject.toml')
  const options = ['-c', config, '-p', 'no:cacheprovider']
  if (jobs > 1) options.push('-n', String(jobs), '--dist', 'loadfile')
  const command = [VENV_PYTHON, '-m', 'pytest', ...options, `--junitxml=${counts}`, ...targets]
  const ending = await runSuite(command, counts)
  return judge('pytest', ending, await readCounts(counts))
}

/** Run a runner in the environment for tests; it is ended when it does not end after its last test. */
async function runSuite([program, ...args], counts, variables = {}) {
  // TORCHBED_PYTHON may name the Python that .venv was made from: it has no torch, .venv has.
  const env = { TORCHBED_PYTHON: VENV_PYTHON, PYTHONHOME: undefined, PYTHONPATH: undefined }
  let child = null
  let hangs = false
  const watch = async () => {
    const finished = await changeTime(counts)
    if (child === null || finished === null || Date.now() - finished < ENDING_MS) return
    hangs = true
    process.kill(child, 'SIGKILL')
  }
  const watching = setInterval(watch, 1000)
  const options = { env: { ...env, ...variables }, show: true, onStart: (pid) => (child = pid) }
  const ending = await run(program, args, options)
  child = null
  clearInterval(watching)
  return hangs ? { ok: false, ending: 'SIGKILL, as it did not end after its last test' } : ending
}

function judge(name, { ok, ending }, counts, mayBeEmpty = false) {
  if (counts === null) {
    return {
      passed: 0,
      failed: 1,
      skipped: 0,
      complaint: `${name} ended with ${ending}, without a result`,
    }
  }
  if (counts.passed + counts.failed + counts.skipped === 0 && !mayBeEmpty) {
    return { ...counts, failed: 1, complaint: `${name} found no test` }
  }
  if (!ok && counts.failed === 0) {
    const complaint = `${name} ended with ${ending}, although no test failed`
    return { ...counts, failed: 1, complaint }
  }
  return counts
}

// Of this process alone: a test may itself run this command.
async function resultFile(extension) {
  await mkdir(RESULTS, { recursive: true })
  const path = join(RESULTS, `${process.pid}.${extension}`)
  await rm(path, { force: true })
  return path
}

async function readCounts(path) {
  const counts = path.endsWith('.xml') ? await readJunit(path) : await readJson(path)
  await rm(path, { force: true })
  return counts
}

async function readJunit(path) {
  const xml = await readFile(path, 'utf8').catch(() => '')
  const suite = /<testsuite [^>]*>/.exec(xml)?.[0]
  if (suite === undefined) return null
  const count = (name) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0)
  const failed = count('errors') + count('failures')
  return { passed: count('tests') - failed - count('skipped'), failed, skipped: count('skipped') }
}

/** The folders below `root` that hold Python tests. */
async function pythonTestFolders(root) {
  const isTest = (path) => /(^|[/\\])test_[^/\\]*\.py$/.test(path)
  const files = await filesBelow([root], isTest)
  const folders = files.map((path) => relative(ROOT, path).split(/[/\\]/).slice(0, 2))
  return [...new Set(folders.map((parts) => join(...parts)))].sort()
}

function isTestFile(arg) {
  return /\.test\.[tj]s$/.test(arg)
}

function compiledTest(arg) {
  return arg.endsWith('.ts') ? join(ROOT, 'dist', arg.replace(/\.ts$/, '.js')) : resolve(ROOT, arg)
}
