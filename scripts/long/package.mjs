/**
 * The package from its tarball: `npm run test:long -- --only package`.
 *
 * Builds its libraries, which fails when they need a newer system than they may. Installs it as a user does, without
 * scripts, and loads it by `require()` and `import` on each Node.js; compiles it by `torchbed build` without its
 * prebuilt libraries, and trains one window with what was compiled.
 */
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { isAsked } from './asked.mjs'
import { Failure } from '../support/failure.mjs'
import { ROOT, VENV_PYTHON } from '../support/paths.mjs'
import { lastLines, run } from '../support/process.mjs'
import { note } from '../support/progress.mjs'

const PROJECT = join(ROOT, 'scripts', 'matrix', 'project')

const REQUIRE = `const { TorchProject } = require('torchbed')
if (typeof TorchProject.open !== 'function') process.exit(9)
console.log('required on', process.version)
`
const IMPORT = REQUIRE.replace(/= require\((.*)\)/, '= await import($1)')

/** As scripts/long/parts.mjs asks of a part. */
export async function runPackage(options) {
  const folder = await mkdtemp(join(tmpdir(), 'torchbed-package-'))
  try {
    const all = [
      { name: 'package/prebuild', test: prebuild },
      { name: 'package/install', test: () => install(folder) },
      ...options.nodes.map((node) => ({
        name: `package/load/${node.major}`,
        test: () => load(folder, node),
        needsInstall: true,
      })),
      { name: 'package/build', test: () => build(folder), needsInstall: true },
    ]
    const asked = all.filter(({ name }) => isAsked(name, options.cell))
    const needsInstall = asked.some((cell) => cell.needsInstall)
    const cells = all.filter(
      (cell) => asked.includes(cell) || (needsInstall && cell.name === 'package/install'),
    )
    const failures = []
    for (const { name, test } of cells) {
      const details = await test()
      note(`${details === null ? 'ok    ' : 'FAILED'} ${name}`)
      const repeat = `npm run test:long -- --only package --cell ${name}`
      if (details !== null) failures.push({ name, details, repeat })
    }
    return { cells: cells.length, failures }
  } finally {
    await rm(folder, { recursive: true })
  }
}

export { runPackage as run }

/** The libraries of the package run on old systems: the command fails when they would not. */
async function prebuild() {
  const script = join(ROOT, 'scripts', 'prebuild.mjs')
  const { ok, ending, output } = await run(process.execPath, [script])
  return ok ? null : `npm run build:prebuilds: ${ending}\n${lastLines(output, 40)}`
}

/** An empty project with the package in it. */
async function install(folder) {
  const packed = join(folder, 'packed')
  await mkdir(packed)
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--silent']
  await must('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', packed], ROOT)
  const [tarball] = await readdir(packed)
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
  await must('npm', ['install', ...options, join(packed, tarball)], folder)
  await writeFile(join(folder, 'require.cjs'), REQUIRE)
  await writeFile(join(folder, 'import.mjs'), IMPORT)
  for (const name of ['train.mjs', 'line_plain.py']) {
    await copyFile(join(PROJECT, name), join(folder, name))
  }
  return null
}

async function load(folder, { path }) {
  for (const name of ['require.cjs', 'import.mjs']) {
    const { ok, ending, output } = await run(path, [name], { cwd: folder })
    if (!ok || !output.includes('required on v')) return `${name}: ${ending}\n${output}`
  }
  return null
}

/** Without prebuilt libraries and, until it has compiled its own, without any. */
async function build(folder) {
  const installed = join(folder, 'node_modules', 'torchbed')
  await rm(join(installed, 'prebuilds'), { recursive: true, force: true })
  const train = ['train.mjs', 'line_plain:Line']
  const env = { TORCHBED_PYTHON: VENV_PYTHON }
  const before = await run(process.execPath, train, { cwd: folder, env })
  if (before.ok || !before.output.includes('ERR_ADDON')) {
    return `without libraries: ${before.ending}, and not ERR_ADDON\n${before.output}`
  }
  const npx = ['--no-install', 'torchbed', 'build', '--json']
  const built = await run('npx', npx, { cwd: folder, env })
  if (!built.ok) return `torchbed build: ${built.ending}\n${built.output}`
  const { addon, prebuildFolder } = JSON.parse(built.output)
  if (dirname(addon) !== join(installed, 'build', 'Release') || prebuildFolder !== null) {
    return `torchbed build compiled elsewhere:\n${built.output}`
  }
  const after = await run(process.execPath, train, { cwd: folder, env })
  if (!after.ok) return `with what was compiled: ${after.ending}\n${after.output}`
  const { lossBefore, lossAfter } = JSON.parse(after.output)
  return lossAfter < lossBefore / 10 ? null : `the loss did not fall:\n${after.output}`
}

async function must(command, args, cwd) {
  const { ok, ending, output } = await run(command, args, { cwd })
  if (ok) return
  const cause = `${command} ${args.join(' ')} ended with ${ending}`
  throw new Failure(cause, 'check the network', lastLines(output))
}
