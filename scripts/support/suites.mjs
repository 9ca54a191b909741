/** The test suites: each runs in a separate process and answers how many tests passed. */
import { mkdir, readFile, rm } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import process from 'node:process'
import { clearInterval, setInterval } from 'node:timers'
import { ROOT, VENV_PYTHON } from './paths.mjs'
import { run } from './process.mjs'
import { changeTime, filesBelow, readJson } from './stamp.mjs'

const RESULTS = join(ROOT, 'build', 'test')

/** How long a runner may take to end once it has left its counts, in milliseconds. */
const ENDING_MS = 30_000

/**
 * Run the suites that `args` ask for, print their own output, and return their sum.
 *
 * @param {string[]} args
 */
export async function runTests(args) {
  const forPytest = args.filter((arg) => /\.py(::|$)/.test(arg))
  const forMocha = args.filter((arg) => !forPytest.includes(arg))
  const results = []
  if (forMocha.length > 0 || args.length === 0) results.push(await runMocha(forMocha))
  if (forPytest.length > 0) results.push(await runPytest(forPytest))
  // One process for each folder: their conftest.py files would get in each other's way.
  if (args.length === 0)
    for (const folder of await pythonTestFolders()) results.push(await runPytest([folder]))
  for (const { complaint } of results) if (complaint !== undefined) console.log(complaint)
  const sum = { passed: 0, failed: 0, skipped: 0 }
  for (const result of results) for (const key of Object.keys(sum)) sum[key] += result[key]
  return sum
}

/** Print the closing line, and set the exit code. Nothing executed is a failure, too. */
export function closeWith({ passed, failed, skipped }) {
  if (passed + failed === 0) console.log('No test was executed.')
  if (failed > 0 || passed === 0) process.exitCode = 1
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
}

/**
 * Run mocha on the compiled tests.
 *
 * @param {string[]} args further arguments; test files among them (`test/a/b.test.ts`) replace all
 * @returns {Promise<{passed: number, failed: number, skipped: number, complaint?: string}>}
 */
async function runMocha(args) {
  const counts = await resultFile('json')
  const files = args.filter(isTestFile).map(compiledTest)
  const others = args.filter((arg) => !isTestFile(arg))
  const mocha = [join(ROOT, 'node_modules', 'mocha', 'bin', 'mocha.js')]
  if (files.length > 0) mocha.push('--no-config', '--timeout', '60000', ...files)
  const reporter = join(ROOT, 'scripts', 'support', 'counting-reporter.cjs')
  const command = [process.execPath, ...mocha, '--reporter', reporter, ...others]
  const ending = await runSuite(command, counts, { TORCHBED_TEST_COUNTS: counts })
  return judge('mocha', ending, await readCounts(counts))
}

async function runPytest(targets) {
  const counts = await resultFile('xml')
  const config = join(ROOT, 'python', 'pyproject.toml')
  const options = ['-c', config, '-p', 'no:cacheprovider']
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

function judge(name, { ok, ending }, counts) {
  if (counts === null) {
    return {
      passed: 0,
      failed: 1,
      skipped: 0,
      complaint: `${name} ended with ${ending}, without a result`,
    }
  }
  if (counts.passed + counts.failed + counts.skipped === 0) {
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

/** python/tests and the folders of examples that hold tests. */
async function pythonTestFolders() {
  const isTest = (path) => /(^|[/\\])test_[^/\\]*\.py$/.test(path)
  const files = await filesBelow(['python/tests', 'examples'], isTest)
  const roots = files.map((path) => relative(ROOT, path).split(/[/\\]/).slice(0, 2))
  return [...new Set(roots.map((parts) => join(ROOT, ...parts)))].sort()
}

function isTestFile(arg) {
  return /\.test\.[tj]s$/.test(arg)
}

function compiledTest(arg) {
  return arg.endsWith('.ts') ? join(ROOT, 'dist', arg.replace(/\.ts$/, '.js')) : resolve(ROOT, arg)
}
