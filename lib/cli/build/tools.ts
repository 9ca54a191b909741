/** What compiling the addon needs. Everything is checked before CMake runs, and all that is missing is reported at once. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../runtime/package-root.js'
import { findPython, searchPythons } from '../../runtime/python/find-python.js'
import { isExecutable, programsOnPath } from '../../runtime/python/programs.js'
import { workingFolder } from '../../runtime/python/python-probe.js'
import { BuildToolsMissingError } from './errors.js'
import { installParts, type Part } from './remedies.js'

/** As in CMakeLists.txt. */
const OLDEST_CMAKE = [3, 20] as const

/** Longest wait for `cmake --version`, in milliseconds. */
const VERSION_TIMEOUT_MS = 20_000

/** What was found; all paths are absolute. */
export interface BuildTools {
  readonly cmake: string
  readonly cmakeVersion: string
  /** The generator to ask for, or undefined for CMake's own choice. */
  readonly generator: 'Ninja' | 'Unix Makefiles' | undefined
  /** The compiler, as CMake will find it; null on Windows, where CMake knows more places than `PATH`. */
  readonly compiler: string | null
  /** The folder with `Python.h`. */
  readonly pythonInclude: string
  /** The folder with `node_api.h`. */
  readonly nodeApiInclude: string
  /** The folder with `napi.h`. */
  readonly nodeAddonApi: string
}

/** Options of {@link findBuildTools}. */
export interface BuildToolsOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** The folder with `Python.h`. Default: that of a Python >= 3.11 that `findPython` comes across. */
  readonly pythonInclude?: string | undefined
}

interface Missing {
  readonly part: Part
  readonly problem: string
}

/**
 * Find CMake, a C++ compiler, Ninja or Make, and the headers of any CPython >= 3.11: the stable ABI makes them alike.
 *
 * @throws BuildToolsMissingError that names every one that is missing, and one command that installs them
 */
export async function findBuildTools(options: BuildToolsOptions = {}): Promise<BuildTools> {
  const { env = process.env, cwd = workingFolder() } = options
  const missing: Missing[] = []
  const miss = (part: Part, problem: string): void => {
    missing.push({ part, problem })
  }
  const cmake = await findCmake(env, cwd, miss)
  const compiler = await findCompiler(env, cwd, miss)
  const generator = await findGenerator(env, cwd, miss)
  const pythonInclude = await findHeaders(options, env, cwd, miss)
  if (missing.length > 0 || cmake === null || pythonInclude === null) throw refusal(missing)
  return {
    cmake: cmake.path,
    cmakeVersion: cmake.version,
    generator,
    compiler,
    pythonInclude,
    nodeApiInclude: join(packageFolder('node-api-headers'), 'include'),
    nodeAddonApi: packageFolder('node-addon-api'),
  }
}

function refusal(missing: readonly Missing[]): BuildToolsMissingError {
  const parts = missing.map(({ part }) => part)
  const [first, ...others] = missing.map(({ problem }) => problem)
  const [is, them] = others.length === 0 ? ['is', 'it'] : ['are', 'them']
  return new BuildToolsMissingError(
    others.length === 0
      ? `Cannot compile the addon: ${first ?? 'nothing was found'}`
      : `Cannot compile the addon: ${missing.length} things ${is} missing`,
    {
      remedy: installParts(parts),
      otherwise: `With ${them} installed, run the command again`,
      details: others.length === 0 ? [] : missing.map(({ problem }) => problem),
    },
  )
}

type Miss = (part: Part, problem: string) => void

async function findCmake(
  env: NodeJS.ProcessEnv,
  cwd: string,
  miss: Miss,
): Promise<{ path: string; version: string } | null> {
  const oldest = OLDEST_CMAKE.join('.')
  const path = await findProgram('cmake', env, cwd)
  if (path === null) {
    miss('cmake', `cmake is not on PATH (${oldest} or newer is needed)`)
    return null
  }
  const { stdout, reason } = await output(path, ['--version'], env)
  const [version, major, minor] = /(\d+)\.(\d+)[\d.]*/.exec(stdout) ?? []
  if (version === undefined) {
    miss('cmake', `"${path} --version" names no version${reason}`)
    return null
  }
  if ((Number(major) - OLDEST_CMAKE[0] || Number(minor) - OLDEST_CMAKE[1]) < 0) {
    miss('cmake', `${path} is CMake ${version}, and ${oldest} or newer is needed`)
    return null
  }
  return { path, version }
}

async function findCompiler(
  env: NodeJS.ProcessEnv,
  cwd: string,
  miss: Miss,
): Promise<string | null> {
  if (process.platform === 'win32') return null
  const named = env.CXX?.trim()
  if (named) {
    const [program = named] = named.split(/\s+/)
    const path = await findProgram(program, env, cwd)
    if (path === null) miss('compiler', `the C++ compiler "${named}" that CXX names does not exist`)
    return path
  }
  for (const name of ['c++', 'g++', 'clang++']) {
    const path = await findProgram(name, env, cwd)
    if (path !== null) return path
  }
  miss('compiler', 'no C++ compiler is on PATH (neither c++, g++ nor clang++)')
  return null
}

async function findGenerator(
  env: NodeJS.ProcessEnv,
  cwd: string,
  miss: Miss,
): Promise<BuildTools['generator']> {
  if (process.platform === 'win32') return undefined
  if ((await findProgram('ninja', env, cwd)) !== null) return 'Ninja'
  if ((await findProgram('make', env, cwd)) !== null) return 'Unix Makefiles'
  miss('make', 'neither ninja nor make is on PATH')
  return undefined
}

async function findHeaders(
  { pythonInclude }: BuildToolsOptions,
  env: NodeJS.ProcessEnv,
  cwd: string,
  miss: Miss,
): Promise<string | null> {
  if (pythonInclude !== undefined) {
    const folder = resolve(cwd, pythonInclude)
    if (existsSync(join(folder, 'Python.h'))) return folder
    miss('headers', `there is no Python.h in ${folder}`)
    return null
  }
  const chosen = await findPython({ env, cwd }).catch(() => null) // none is a matter for later
  if (chosen?.includeDir) return chosen.includeDir
  const without: string[] = []
  for await (const found of searchPythons({ env, cwd })) {
    if ('error' in found) continue
    if (found.includeDir !== null) return found.includeDir
    without.push(found.executable)
  }
  const of = without.length === 0 ? 'no usable Python was found' : `not with ${without.join(', ')}`
  miss('headers', `Python.h is missing (${of}); the headers of any CPython >= 3.11 will do`)
  return null
}

/** An npm package that this one depends on, wherever npm put it. */
function packageFolder(name: string): string {
  const require = createRequire(join(packageRoot(), 'package.json'))
  for (const folder of require.resolve.paths(name) ?? []) {
    if (existsSync(join(folder, name, 'package.json'))) return join(folder, name)
  }
  throw new BuildToolsMissingError(`Cannot compile the addon: the npm package ${name} is missing`, {
    remedy: 'npm install',
  })
}

/** A program: by its name on `PATH`, or by a path. */
async function findProgram(
  name: string,
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<string | null> {
  if (/[/\\]/.test(name)) {
    const path = resolve(cwd, name)
    return (await isExecutable(path)) ? path : null
  }
  for await (const path of programsOnPath(name, env, cwd)) return path
  return null
}

async function output(
  path: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ stdout: string; reason: string }> {
  try {
    const { stdout } = await promisify(execFile)(path, args, { env, timeout: VERSION_TIMEOUT_MS })
    return { stdout, reason: '' }
  } catch (error) {
    return { stdout: '', reason: `: ${(error as Error).message.trim()}` }
  }
}
