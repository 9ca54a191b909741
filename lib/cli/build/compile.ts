/** Runs CMake on CMakeLists.txt, the one description of the native build. */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import { makeFolder } from '../../files/make-folder.js'
import { BuildError } from './errors.js'
import type { BuildTools } from './tools.js'

/** How much of the output of a failed program a message quotes, in lines. */
const MAX_QUOTED_LINES = 40

/** What to compile, and where. */
export interface Compilation {
  readonly tools: BuildTools
  /** The folder with CMakeLists.txt. */
  readonly source: string
  /** The folder to build in; the libraries come into its subfolder `Release` or `Debug`. */
  readonly out: string
  /** Default `Release`. */
  readonly configuration?: 'Release' | 'Debug'
  /** Of CMakeLists.txt. Default: the loader and the bridge. */
  readonly target?: string | undefined
  /** Further variables for CMake, such as `TORCHBED_PORTABLE`. */
  readonly variables?: Readonly<Record<string, string>>
  readonly env?: NodeJS.ProcessEnv
  /** Gets the output as it comes. It goes to `<out>/torchbed-build.log` in any case. */
  readonly onOutput?: (text: string) => void
  /** Told the process id of each program that is run. */
  readonly onStart?: (pid: number) => void
}

/**
 * Compile what has changed. Nothing is downloaded.
 *
 * @returns the folder with the libraries
 * @throws BuildError that quotes the end of the output, when CMake or the compiler fails
 */
export async function compile(compilation: Compilation): Promise<string> {
  const { out, configuration = 'Release', target } = compilation
  await makeFolder(out, 'none')
  await removeForeignCache(compilation)
  let configured = await run(compilation, 'configure', configureArguments(compilation))
  if (configured !== null) {
    await removeCache(out) // a killed run, or a compiler that is gone, may have left it unusable
    configured = await run(compilation, 'configure', configureArguments(compilation))
  }
  if (configured !== null) throw configured
  // Counted here: without a number, Make compiles all files at once.
  const jobs = String(availableParallelism())
  const args = ['--build', out, '--config', configuration, '--parallel', jobs]
  const failed = await run(compilation, 'build', [...args, ...(target ? ['--target', target] : [])])
  if (failed !== null) throw failed
  return join(out, configuration)
}

function configureArguments(compilation: Compilation): string[] {
  const { tools, source, out, configuration = 'Release', variables = {} } = compilation
  const all: Record<string, string> = {
    CMAKE_BUILD_TYPE: configuration,
    CMAKE_JS_INC: tools.nodeApiInclude,
    NODE_ADDON_API: tools.nodeAddonApi,
    TORCHBED_PYTHON_INCLUDE: tools.pythonInclude,
    ...windowsVariables(compilation),
    ...variables,
  }
  const generator = tools.generator === undefined ? [] : ['-G', tools.generator]
  const defined = Object.entries(all).map(([name, value]) => `-D${name}=${value}`)
  return ['-S', source, '-B', out, ...generator, '--no-warn-unused-cli', ...defined]
}

/** Windows links what Node.js gives by an import library, which is made of a list of its symbols. Not yet run. */
function windowsVariables({ tools, out }: Compilation): Record<string, string> {
  if (process.platform !== 'win32') return {}
  const library = join(out, 'node.lib')
  return {
    CMAKE_JS_LIB: library,
    CMAKE_JS_NODELIB_DEF: join(tools.nodeApiInclude, '..', 'def', 'node_api.def'),
    CMAKE_JS_NODELIB_TARGET: library,
  }
}

/** Runs CMake to its end; answers what went wrong, or null. */
async function run(
  { tools, out, env = process.env, onOutput, onStart }: Compilation,
  step: 'configure' | 'build',
  args: readonly string[],
): Promise<BuildError | null> {
  const path = join(out, 'torchbed-build.log')
  const log = createWriteStream(path, { flags: step === 'configure' ? 'w' : 'a' })
  const logFault = finished(log).then(
    () => null,
    (error: unknown) => error as Error,
  )
  const child = spawn(tools.cmake, args, { cwd: out, env, stdio: ['ignore', 'pipe', 'pipe'] })
  if (child.pid !== undefined) onStart?.(child.pid)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
      log.write(text)
      onOutput?.(text)
    })
  }
  const ending = await new Promise<string>((resolve) => {
    child.on('error', (error) => {
      resolve(error.message)
    })
    child.on('close', (code, signal) => {
      resolve(signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}`)
    })
  })
  log.end()
  const fault = await logFault
  if (fault !== null) {
    throw new BuildError(`Cannot write to ${path}: ${fault.message}`, {
      otherwise: 'Delete it, or name another folder with --out',
      cause: fault,
    })
  }
  if (ending === 'exit code 0') return null
  const lines = output.split(/\r?\n/).filter((line) => line.trim() !== '')
  return new BuildError(`Cannot compile the addon: cmake (${step}) ended with ${ending}`, {
    otherwise: `Read the lines below; ${path} has the whole output`,
    details: lines.slice(-MAX_QUOTED_LINES),
  })
}

/** CMake refuses a cache that was written for another folder or generator, as after a move. */
async function removeForeignCache({ tools, source, out }: Compilation): Promise<void> {
  const cache = await readFile(join(out, 'CMakeCache.txt'), 'utf8').catch(() => null)
  if (cache === null) return
  const entry = (name: string) => new RegExp(`^${name}:INTERNAL=(.*)$`, 'm').exec(cache)?.[1]
  const isOurs =
    join(entry('CMAKE_HOME_DIRECTORY') ?? '', '.') === join(source, '.') &&
    join(entry('CMAKE_CACHEFILE_DIR') ?? '', '.') === join(out, '.') &&
    (tools.generator === undefined || entry('CMAKE_GENERATOR') === tools.generator)
  if (!isOurs) await removeCache(out)
}

async function removeCache(out: string): Promise<void> {
  for (const name of ['CMakeCache.txt', 'CMakeFiles', 'build.ninja', '.ninja_deps', '.ninja_log']) {
    await rm(join(out, name), { recursive: true, force: true })
  }
}
