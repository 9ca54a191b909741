/** One cell of the matrix: a window of training in an installed project, and whether it is the one expected. */
import { cp, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { clearTimeout, setTimeout } from 'node:timers'
import { ROOT } from '../support/paths.mjs'
import { run } from '../support/process.mjs'
import { makeTools, pathWithoutCompiler } from './projects.mjs'

/** Longest run of a cell in milliseconds: a cold import of torch takes tens of seconds on a busy machine. */
const CELL_MS = 120_000

/** Loss after the window at which the line counts as learnt; before it is above 1. */
const LEARNT_LOSS = 0.05

const SOURCES = join(ROOT, 'scripts', 'matrix', 'project')

/**
 * Run a cell.
 *
 * @param {object} row of `findRows`, with `torch` and, for a virtual environment, `venv`
 * @param {{major: number, path: string}} node
 * @param {string} installed folder of the project that is copied
 * @param {string} folder of the cell, to be made; it is removed when all is well
 * @returns {Promise<{problems: string[], output: string, seconds: number, report: object | null}>}
 */
export async function runCell(row, node, installed, folder) {
  await cp(installed, folder, { recursive: true, verbatimSymlinks: true })
  await cp(SOURCES, folder, { recursive: true })
  const env = await surroundings(row, node, folder)
  const workload = row.torch === null ? 'line_plain:Line' : 'line_torch:Line'
  let timer
  let isLate = false
  const onStart = (pid) => {
    timer = setTimeout(() => {
      isLate = true
      process.kill(pid, 'SIGKILL')
    }, CELL_MS)
  }
  const start = performance.now()
  const { ok, ending, output } = await run(node.path, ['train.mjs', workload], {
    cwd: folder,
    env,
    onStart,
  })
  const seconds = (performance.now() - start) / 1000
  clearTimeout(timer)
  const report = reportIn(output)
  const problems = []
  if (isLate) problems.push(`it did not end within ${CELL_MS / 1000} s`)
  else if (!ok) problems.push(`it ended with ${ending}`)
  else if (report === null) problems.push('it printed no report')
  if (report !== null) problems.push(...differences(row, node, report))
  if (problems.length === 0) await rm(folder, { recursive: true })
  return { problems, output, seconds, report }
}

/** Everything that the process has for an environment. */
async function surroundings(row, node, folder) {
  const tools = join(folder, 'tools')
  const home = join(folder, 'home')
  await mkdir(home)
  const none = Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]))
  const always = { ...none, HOME: home, LANG: 'C.UTF-8', PREBUILDS_ONLY: '1' }
  if (row.kind === 'path') {
    await makeTools(tools, { node: node.path, python3: row.python.executable })
    return { ...always, PATH: pathWithoutCompiler(tools) }
  }
  await makeTools(tools, { node: node.path })
  if (row.kind === 'named') {
    return {
      ...always,
      PATH: pathWithoutCompiler(tools),
      TORCHBED_PYTHON: row.python.executable,
    }
  }
  const bin = join(row.venv, 'bin')
  return { ...always, PATH: pathWithoutCompiler(bin, tools), VIRTUAL_ENV: row.venv }
}

const isReport = (line) => line.startsWith('{"node":')

/** What a cell printed besides the line of JSON, line by line. */
export function besidesReport(output) {
  return output.split('\n').filter((line) => line.trim() !== '' && !isReport(line))
}

/** The line of JSON that train.mjs prints, or null. */
function reportIn(output) {
  const line = output.split('\n').findLast(isReport)
  try {
    return line === undefined ? null : JSON.parse(line)
  } catch {
    return null
  }
}

/** What the report of a cell says otherwise than its row and its Node.js demand: a sentence for each. */
export function differences(row, node, report) {
  const found = []
  const demand = (what, seen, wanted) => {
    if (seen !== wanted) found.push(`${what} is ${seen}, not ${wanted}`)
  }
  demand('Node.js', report.node.split('.')[0], `v${node.major}`)
  demand('Python', report.python, row.python.version)
  demand('sys.prefix', report.prefix, row.venv ?? row.python.prefix)
  demand('torch', withoutLabel(report.torch), withoutLabel(row.torch ?? 'none'))
  demand('the number of examples', report.examples, 1280)
  if (!(report.lossBefore > 1)) {
    found.push(`the loss before training is ${report.lossBefore}, not above 1`)
  }
  if (!(report.lossAfter < LEARNT_LOSS)) {
    found.push(`the loss after training is ${report.lossAfter}, not below ${LEARNT_LOSS}`)
  }
  return found
}

/** A version without its local label, which names a build and not another version (PEP 440). */
const withoutLabel = (version) => version.split('+')[0]
