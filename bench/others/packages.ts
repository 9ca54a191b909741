/** The other packages, and how they get into a folder of their own. Never a dependency of torchbed. */

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { PythonInstallation } from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'

export interface OtherPackage {
  readonly name: 'node-calls-python' | 'pythonia'
  /** The version that is measured. */
  readonly version: string
  /** What its rows' ids begin with. */
  readonly prefix: string
  /** Whether it is compiled against Node.js and Python where it is installed. */
  readonly compiled: boolean
}

export const OTHER_PACKAGES: readonly OtherPackage[] = [
  { name: 'node-calls-python', version: '1.11.1', prefix: 'ncp', compiled: true },
  { name: 'pythonia', version: '1.2.6', prefix: 'pythonia', compiled: false },
]

/** How long npm and a compiler may take, in milliseconds. */
const INSTALL_TIMEOUT_MS = 240_000

/** Where a package is, or why it is not. */
export type Installed = { readonly folder: string } | { readonly skipped: string }

/** Folder with the programs of the Python that a virtual environment was made from. */
export function pythonPrograms(python: PythonInstallation): string {
  return join(python.basePrefix, 'bin')
}

/** Installs a package unless it is there: the same version, for the same Node.js and Python. */
export async function install(
  { name, version, compiled }: OtherPackage,
  python: PythonInstallation,
): Promise<Installed> {
  if (compiled && !existsSync(join(pythonPrograms(python), 'python3-config'))) {
    const remedy = 'install the headers of this Python (Debian: python3-dev)'
    return { skipped: `this Python has no python3-config beside it: ${remedy}` }
  }
  const folder = join(packageRoot(), 'build', 'bench', 'others', name)
  const record = join(folder, 'installed.json')
  const wanted = JSON.stringify({
    version,
    node: process.version,
    python: [python.basePrefix, python.version],
  })
  if ((await readFile(record, 'utf8').catch(() => '')) === wanted) return { folder }

  process.stderr.write(`Installing ${name} ${version} below build/bench/others ...\n`)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const manifest = {
    private: true,
    dependencies: { [name]: version },
    // Some versions of npm run no install script that is not named here.
    allowScripts: { [name]: true },
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
  try {
    await promisify(execFile)(...npm(['install', '--no-audit', '--no-fund']), {
      cwd: folder,
      env: installEnvironment(python),
      timeout: INSTALL_TIMEOUT_MS,
      maxBuffer: 2 ** 26,
    })
  } catch (error) {
    return { skipped: `npm could not install ${name} ${version}: ${reason(error)}` }
  }
  await writeFile(record, wanted)
  return { folder }
}

/** Node's headers from beside the running node, Python's from the installation behind the venv. */
function installEnvironment(python: PythonInstallation): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: `${pythonPrograms(python)}${delimiter}${process.env.PATH ?? ''}`,
    npm_config_ignore_scripts: 'false',
  }
  const nodePrefix = dirname(dirname(process.execPath))
  if (existsSync(join(nodePrefix, 'include', 'node', 'node_api.h'))) {
    env.npm_config_nodedir = nodePrefix
  }
  return env
}

function npm(args: string[]): [program: string, args: string[]] {
  const script = process.env.npm_execpath ?? ''
  return /npm-cli\.[cm]?js$/.test(script) ? [process.execPath, [script, ...args]] : ['npm', args]
}

/** The first lines in which npm or a compiler says what is wrong; places of this machine are of no use. */
function reason(error: unknown): string {
  const { message, stderr = '' } = error as Error & { stderr?: string }
  const lines = stderr
    .split('\n')
    .filter((line) => /error/i.test(line) && !/error path|complete log/.test(line))
    .map((line) => line.replace(/https?:\/\/\S+/g, 'the registry'))
  return (lines.length > 0 ? lines.slice(0, 3) : [message.split('\n')[0] ?? '']).join(' ').trim()
}
