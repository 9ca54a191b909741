/** Projects of a user: the package installed from its tarball, with nothing on PATH but Node.js and npm. */
import { existsSync } from 'node:fs'
import { mkdir, realpath, symlink, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { Failure } from '../support/failure.mjs'
import { lastLines, onPath, run } from '../support/process.mjs'

/** Programs that would let an install or a run compile something. */
const COMPILERS = 'cc c++ gcc g++ clang clang++ make ninja cmake node-gyp cmake-js'.split(' ')

/** Path of npm-cli.js: of the npm that runs this, else of the one on PATH. */
export async function findNpm() {
  const own = process.env.npm_execpath ?? ''
  if (/npm-cli\.[cm]?js$/.test(own)) return own
  const npm = await onPath('npm')
  if (npm !== null) return realpath(npm)
  throw new Failure('npm is not on PATH', 'install npm (it comes with Node.js)')
}

/**
 * Make a folder for PATH that holds links to these programs and nothing else.
 *
 * @param {string} folder
 * @param {Record<string, string>} programs paths by name
 */
export async function makeTools(folder, programs) {
  await mkdir(folder, { recursive: true })
  for (const [name, path] of Object.entries(programs)) await symlink(path, join(folder, name))
}

/** A PATH of these folders. Throws when one of them has a compiler. */
export function pathWithoutCompiler(...folders) {
  for (const folder of folders) {
    const found = COMPILERS.find((name) => existsSync(join(folder, name)))
    if (found !== undefined)
      throw new Error(`${folder} has a ${found}: the cell would prove little`)
  }
  return folders.join(delimiter)
}

/**
 * Install the tarball into a new project.
 *
 * @param {string} folder of the project, to be made
 * @param {{node: string, npm: string, tarball: string}} programs
 * @throws Failure
 */
export async function installProject(folder, { node, npm, tarball }) {
  await makeTools(join(folder, 'bin'), { node, npm })
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--engine-strict']
  const args = [npm, 'install', ...options, tarball]
  const env = { ...withoutNpmRun(), PATH: pathWithoutCompiler(join(folder, 'bin')) }
  const { ok, ending, output } = await run(node, args, { cwd: folder, env })
  if (ok) return output
  throw new Failure(`npm install ended with ${ending}`, 'read the lines above', lastLines(output))
}

/** Takes away what `npm run` sets for its children, which would point npm at the clone. */
function withoutNpmRun() {
  const names = Object.keys(process.env).filter(
    (name) => /^npm_(?!config_)/.test(name) || /^npm_config_(\w+_)?prefix$/.test(name),
  )
  return Object.fromEntries([...names, 'NODE_PATH', 'INIT_CWD'].map((name) => [name, undefined]))
}
