/**
 * Tests with the native code under a sanitizer.
 *
 * Builds the libraries into build/asan or build/tsan and runs each test file in a separate process. First a
 * control commits the error that the sanitizer must see.
 */
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import process from 'node:process'
import { clearTimeout, setTimeout } from 'node:timers'
import { withSymbols } from './symbols.mjs'
import { compileNative } from '../setup/native.mjs'
import { loadFindPython } from '../setup/python.mjs'
import { Failure } from '../support/failure.mjs'
import { exclusively } from '../support/lock.mjs'
import { ROOT, VENV_PYTHON } from '../support/paths.mjs'
import { lastLines, run } from '../support/process.mjs'
import { note, step } from '../support/progress.mjs'
import { readJson } from '../support/stamp.mjs'

/** Longest run of one test file; a sanitizer makes it a few times as long as usual, in milliseconds. */
const TIME_LIMIT_MS = 300_000

const REPORTER = join(ROOT, 'scripts', 'support', 'counting-reporter.cjs')

/**
 * @param sanitizer one of sanitizers.mjs
 * @param {string[]} files tests, such as test/runtime/values.test.ts
 * @returns {Promise<{ file: string, what: string }[]>} failed tests and reports; empty when all is well
 */
export async function sanitize(sanitizer, files) {
  const folder = join(ROOT, 'build', sanitizer.folder)
  const library = await runtimeLibrary(sanitizer.library)
  await build(sanitizer)
  const reports = join(folder, 'reports')
  const env = environment(sanitizer, library, folder, join(reports, 'report'))
  return [
    ...(await control(sanitizer, env, reports)),
    ...(await runTests(files, sanitizer, env, reports)),
  ]
}

/** The sanitizer's own library: Node was not built with it, so it is loaded before everything else. */
async function runtimeLibrary(file) {
  const { ok, output } = await run('g++', [`-print-file-name=${file}`])
  const path = output.trim()
  if (ok && existsSync(path)) return path
  throw new Failure(
    `g++ has no ${file}`,
    'run this on Linux with GCC and its sanitizers (Debian and Ubuntu: apt-get install g++)',
  )
}

async function build({ flags, folder, title }) {
  // Without --debug, GCC 12 stops at a false warning.
  const args = ['--debug', `--CDTORCHBED_SANITIZE=${flags}`, '--out', `build/${folder}/build`]
  await exclusively(`The build for ${title}`, async () => {
    const { findPython } = await loadFindPython()
    const python = await findPython({ cwd: ROOT })
    await step(`native libraries for ${title}`, () => compileNative(python, args))
  })
  if (process.exitCode !== undefined) {
    throw new Failure(`the build for ${title} failed`, 'read the output above')
  }
}

function environment({ options }, library, folder, log) {
  const env = { LD_PRELOAD: library, TORCHBED_PREBUILD: folder, TORCHBED_PYTHON: VENV_PYTHON }
  for (const [variable, value] of Object.entries(options)) {
    env[variable] = variable.endsWith('_OPTIONS') ? `${value}:log_path='${log}'` : value
  }
  return env
}

/** A sanitizer that sees nothing would be content with everything. */
async function control(sanitizer, env, reports) {
  if (sanitizer.control === null) return []
  await clear(reports)
  const path = join(ROOT, 'scripts', 'sanitize', sanitizer.control)
  const { output } = await limited(process.execPath, ['--expose-gc', path], { env })
  const seen = (await readReports(reports)).some((text) => text.includes(sanitizer.expected))
  if (seen) {
    note(`control: ${sanitizer.expected} is seen`)
    return []
  }
  const what = `was not reported as ${sanitizer.expected}:\n${lastLines(output)}`
  return [{ file: sanitizer.control, what }]
}

async function runTests(tests, sanitizer, env, reports) {
  const complaints = []
  for (const test of tests) {
    await clear(reports)
    const compiled = join(ROOT, 'dist', test.replace(/\.ts$/, '.js'))
    const mocha = join(ROOT, 'node_modules', 'mocha', 'bin', 'mocha.js')
    const args = ['--expose-gc', mocha, '--no-config', '--timeout', '120000', compiled]
    args.push('--grep', sanitizer.leftOut, '--invert', '--reporter', REPORTER)
    const counts = join(reports, '..', 'counts.json')
    await rm(counts, { force: true })
    const options = { env: { ...env, TORCHBED_TEST_COUNTS: counts } }
    const { ok, ending, output } = await limited(process.execPath, args, options)
    const libraries = join(env.TORCHBED_PREBUILD, 'build', 'Debug')
    const found = (await readReports(reports)).filter(sanitizer.counts)
    for (const text of found) {
      complaints.push({ file: test, what: await withSymbols(text, libraries) })
    }
    // The exit code alone does not tell: a sanitizer may be told to end a process with 0.
    const passed = (await readJson(counts))?.passed ?? 0
    if (!ok || passed === 0) {
      const what = `ended with ${ending}, ${passed} tests passed\n${lastLines(output)}`
      complaints.push({ file: test, what })
    }
    note(`${test}: ${ending}, ${passed} passed, ${found.length} reports`)
  }
  return complaints
}

/** As {@link run}; killed when it takes too long. */
async function limited(command, args, options) {
  let timer
  const onStart = (pid) => {
    timer = setTimeout(() => process.kill(pid, 'SIGKILL'), TIME_LIMIT_MS)
  }
  const result = await run(command, args, { ...options, onStart })
  clearTimeout(timer)
  return result
}

async function clear(reports) {
  await rm(reports, { recursive: true, force: true })
  await mkdir(reports, { recursive: true })
}

/** Reports of the process and of its children, each on its own. */
async function readReports(reports) {
  const texts = []
  for (const file of await readdir(reports)) {
    const text = await readFile(join(reports, file), 'utf8')
    const parts = text.split(/^=+$/m).filter((part) => part.trim() !== '')
    texts.push(...parts.map((part) => `${basename(file)}:\n${part.trim()}`))
  }
  return texts
}
