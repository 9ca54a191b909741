/** The whole run: pack, install once on each Node.js, then the cells, two at a time. */
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, realpath } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { isAsked } from '../long/asked.mjs'
import { resolveNodes } from '../long/nodes.mjs'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { run } from '../support/process.mjs'
import { note, step } from '../support/progress.mjs'
import { besidesReport, runCell } from './cell.mjs'
import { resolveVenv, torchOf } from './environments.mjs'
import { packTarball } from './package.mjs'
import { findNpm, installProject } from './projects.mjs'
import { findRows } from './pythons.mjs'

/** Cells at one time; more would slow each other down on a small machine. */
const AT_ONCE = 2

/**
 * Run the cells that are asked for.
 *
 * @param {{nodes: number[], pythons: string[] | null, only: string[] | null}} options
 * @returns the machine, the versions, and `cells`: each with `problems`, empty when all is well
 * @throws Failure when a cell cannot even be set up
 */
export async function runMatrix({ nodes: majors, pythons, only }) {
  if (process.platform === 'win32') {
    throw new Failure('the matrix does not run on Windows yet', 'run it on Linux or macOS')
  }
  const found = await findRows(pythons)
  for (const text of found.skipped) note(`skip ${text}`)
  const wanted = [...new Set(majors)].flatMap((major) =>
    found.rows.map((row) => ({ name: `node${major}/${row.name}`, major, row })),
  )
  const asked = wanted.filter(({ name }) => only?.some((one) => isAsked(name, one)) ?? true)
  const nodes = await resolveNodes([...new Set(asked.map(({ major }) => major))])
  const rows = []
  for (const row of new Set(asked.map(({ row }) => row))) rows.push(await equipped(row))

  // Outside the clone, whose node_modules would otherwise stand in for what the package lacks.
  const work = await realpath(await mkdtemp(join(tmpdir(), 'torchbed matrix ')))
  let isKept = false
  process.once('exit', () => isKept || rmSync(work, { recursive: true, force: true }))
  const npm = await findNpm()
  const machine = await machineOf(nodes, npm)
  const result = { ...machine, rows: rows.map(plainRow), skipped: found.skipped, cells: [] }
  if (asked.length === 0) return result
  const { installed, libraries } = await install(work, nodes, npm)
  const tasks = asked.map(({ name, major, row: { name: rowName } }) => ({
    name,
    row: rows.find((row) => row.name === rowName),
    node: nodes.find((node) => node.major === major),
  }))
  const cells = await runAll(tasks, installed, work, pythons)
  isKept = cells.some(({ problems }) => problems.length > 0)
  return { ...result, libraries, cells }
}

/** The row with its virtual environment, and the torch that it has. */
async function equipped(row) {
  if (row.kind !== 'venv') return { ...row, torch: await torchOf(row.python.executable) }
  const { folder, torch } = await resolveVenv(row)
  return { ...row, torch, venv: folder }
}

const plainRow = ({ name, kind, origin, python, torch }) => ({
  ...{ name, kind, origin, python: python.version, torch },
})

async function install(work, nodes, npm) {
  const folder = join(work, 'package')
  await mkdir(folder)
  const { tarball, libraries } = await step('the tarball (npm pack)', () =>
    packTarball(npm, folder),
  )
  note(`  its prebuilt libraries are those of ${libraries}`)
  const installed = new Map()
  for (const { major, path } of nodes) {
    const project = join(work, `node${major}`, 'installed')
    await mkdir(project, { recursive: true })
    const output = await step(`Node.js ${major}: npm install`, () =>
      installProject(project, { node: path, npm, tarball }),
    )
    for (const line of output.split('\n').filter((text) => /^npm warn/i.test(text))) note(line)
    installed.set(major, project)
  }
  return { installed, libraries }
}

async function runAll(tasks, installed, work, pythons) {
  const waiting = [...tasks]
  const cells = []
  const worker = async () => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const { name, row, node } = task
      const folder = join(work, name)
      const result = await runCell(row, node, installed.get(node.major), folder).catch(notRun)
      const given = pythons === null ? '' : ` --pythons '${pythons.join(',')}'`
      const repeat = `npm run matrix -- --nodes ${node.major}${given} --only '${name}'`
      cells.push({ name, major: node.major, row: row.name, ...result, repeat })
      tell(`[${cells.length}/${tasks.length}]`, cells.at(-1), row, folder)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return cells
}

const notRun = (error) => ({
  ...{ problems: [`it was not run: ${error.message}`], output: '', seconds: 0, report: null },
})

function tell(count, { name, problems, output, seconds, repeat }, { torch }, folder) {
  const isFine = problems.length === 0
  const ran = torch === null ? 'no torch' : `torch ${torch}`
  note(`${count} ${isFine ? 'ok  ' : 'FAIL'} ${name}: ${ran} (${seconds.toFixed(1)} s)`)
  const lines = isFine
    ? besidesReport(output) // a warning is nothing wrong, and nothing that a user should meet
    : [...problems, '', output.trimEnd(), '', `again:  ${repeat}`, `folder: ${folder}`]
  if (lines.length > 0) note(lines.join('\n').replace(/^/gm, '    '))
}

async function machineOf(nodes, npm) {
  const read = async (path) => JSON.parse(await readFile(path, 'utf8')).version
  const full = {}
  for (const { major, path } of nodes) {
    const { output } = await run(path, ['--version'])
    full[major] = output.trim().replace(/^v/, '')
  }
  return {
    date: new Date().toISOString().slice(0, 10),
    torchbed: await read(join(ROOT, 'package.json')),
    platform: `${process.platform}-${process.arch}`,
    glibc: process.report.getReport().header.glibcVersionRuntime ?? null,
    npm: await read(join(npm, '..', '..', 'package.json')),
    nodes: full,
  }
}
