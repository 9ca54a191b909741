/**
 * Check everything a reviewer would: `npm run check`.
 *
 * Every check runs, whatever the others find. The tests come last; their sum is the last line.
 * With `--fix`, put the formatting right instead: `npm run format`.
 */
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { VENV_RECORD } from './setup/python.mjs'
import { ROOT, VENV_PYTHON, venvProgram } from './support/paths.mjs'
import { run } from './support/process.mjs'
import { filesBelow, readJson } from './support/stamp.mjs'
import { closeWith, runTests, SUITES } from './support/suites.mjs'

/** Checks at one time; more would slow each other down on a small machine. */
const AT_ONCE = 2

const npmTool = (path) => [process.execPath, join(ROOT, 'node_modules', ...path.split('/'))]
const cppFiles = await filesBelow(['native'], (path) => /\.(cc|hpp|inc)$/.test(path))
// Of this system: the compiler has no command for the others'.
const sourceFiles = cppFiles.filter(
  (path) => path.endsWith('.cc') && !/[/\\]windows[/\\]|_none\.cc$/.test(path),
)
const compileCommands = join(ROOT, 'build', 'compile_commands.json')
const pythonFolders = await foldersWithPython()
const record = await readJson(VENV_RECORD)
const hasTorch = record?.installed?.['requirements.txt'] !== undefined

const actionlint = await goProgram('actionlint')

const prettier = npmTool('prettier/bin/prettier.cjs')

const CHECKS = [
  { name: 'prettier', command: [...prettier, '--check', '--log-level', 'warn', '.'] },
  { name: 'eslint', command: [...npmTool('eslint/bin/eslint.js'), '.'] },
  {
    name: 'tsc',
    command: [...npmTool('typescript/bin/tsc'), '--noEmit', '--incremental', 'false'],
  },
  { name: 'docs', command: [...npmTool('typedoc/bin/typedoc'), '--emit', 'none'] },
  {
    name: 'clang-format',
    command: [venvProgram('clang-format'), '--dry-run', '-Werror', ...cppFiles],
  },
  {
    name: 'clang-tidy',
    command: [venvProgram('clang-tidy'), '-p', 'build', '--quiet', ...sourceFiles],
    skip: existsSync(compileCommands) ? null : `${compileCommands} is missing`,
  },
  { name: 'knip', command: npmTool('knip/bin/knip.js') },
  { name: 'publint', command: [...npmTool('publint/src/cli.js'), '--strict'] },
  {
    // CommonJS loads it by require(), which Node.js has for ES modules from 20.19 on.
    name: 'attw',
    command: [
      ...npmTool('@arethetypeswrong/cli/dist/index.js'),
      ...['--pack', '.', '--profile', 'esm-only', '--format', 'ascii'],
    ],
  },
  {
    name: 'actionlint',
    command: [actionlint ?? 'actionlint'],
    skip:
      actionlint !== null
        ? null
        : 'it is not there; go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12',
  },
  { name: 'ruff format', command: ruff('format', '--check') },
  { name: 'ruff', command: ruff('check') },
  {
    name: 'mypy',
    command: [VENV_PYTHON, '-m', 'mypy', ...pythonFolders],
    cwd: join(ROOT, 'python'),
    skip: hasTorch ? null : 'torch is not in .venv, and the code cannot be typed without it',
  },
]

const FIXES = [
  { name: 'prettier', command: [...prettier, '--write', '--log-level', 'warn', '.'] },
  { name: 'clang-format', command: [venvProgram('clang-format'), '-i', ...cppFiles] },
  { name: 'ruff format', command: ruff('format') },
  { name: 'ruff', command: ruff('check', '--fix') },
]

const fixing = process.argv.includes('--fix')
const failed = await runAll(fixing ? FIXES : CHECKS)
if (failed.length > 0) process.exitCode = 1
if (!fixing) {
  const sum = await runTests(Object.keys(SUITES))
  if (failed.length > 0) {
    console.log(`Checks that failed: ${failed.join(', ')} (npm run format puts formatting right)`)
  }
  closeWith(sum)
}

/** Run the checks, a few at a time; print a line for each; return the names of the failed. */
async function runAll(checks) {
  const waiting = [...checks]
  const failures = []
  const worker = async () => {
    for (let check = waiting.shift(); check !== undefined; check = waiting.shift()) {
      if (!(await runOne(check))) failures.push(check.name)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return failures
}

async function runOne({ name, command: [program, ...args], cwd = ROOT, skip = null }) {
  if (skip !== null) {
    console.log(`skip  ${name}: ${skip}`)
    return true
  }
  const start = performance.now()
  const { ok, ending, output } = await run(program, args, { cwd })
  const time = `${((performance.now() - start) / 1000).toFixed(1)} s`
  console.log(`${ok ? 'ok   ' : 'FAIL '} ${name} (${time}${ok ? '' : `, ${ending}`})`)
  if (!ok) console.log(output.trimEnd().replace(/^/gm, '      '))
  return ok
}

/** The path of a program on PATH or where `go install` puts it; null where it is not. */
async function goProgram(name) {
  const { ok, output } = await run('go', ['env', 'GOPATH'])
  const folders = (process.env.PATH ?? '').split(delimiter)
  if (ok) folders.push(join(output.trim(), 'bin'))
  const suffix = process.platform === 'win32' ? '.exe' : ''
  const paths = folders.map((folder) => join(folder, name + suffix))
  return paths.find((path) => existsSync(path)) ?? null
}

function ruff(...args) {
  const alone = ['lib', 'scripts', 'test'].map((folder) => join(ROOT, folder))
  return [venvProgram('ruff'), ...args, ...pythonFolders, ...alone]
}

async function foldersWithPython() {
  const folders = []
  for (const folder of ['python', 'examples', 'bench']) {
    const files = await filesBelow([folder], (path) => path.endsWith('.py'))
    if (files.length > 0) folders.push(join(ROOT, folder))
  }
  return folders
}
