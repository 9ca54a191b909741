import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { makeFolder } from '../../files/make-folder.js'
import { libraryBeside } from '../../runtime/embedded/addon-place.js'
import { packageRoot } from '../../runtime/package-root.js'
import { compile } from './compile.js'
import { BuildError } from './errors.js'
import { findBuildTools, type BuildTools } from './tools.js'

/** Longest wait for a process that loads what was compiled, in milliseconds. */
const LOAD_TIMEOUT_MS = 60_000

/** Options of {@link buildAddon}. */
export interface BuildAddonOptions {
  /** The libraries come into its subfolder `build/Release`. Default: the package itself. */
  readonly out?: string | undefined
  /** The folder with `Python.h`. Default: that of a Python that is found. */
  readonly pythonInclude?: string | undefined
  readonly onOutput?: (text: string) => void
}

/** What was compiled; paths are absolute. */
export interface BuiltAddon {
  readonly addon: string
  readonly bridge: string
  readonly tools: BuildTools
  readonly seconds: number
  /** What `TORCHBED_PREBUILD` has to name; null where the addon is found without it. */
  readonly prebuildFolder: string | null
}

/**
 * Compile the addon from the package's source, and load it in a separate process.
 *
 * @throws BuildToolsMissingError, BuildError
 */
export async function buildAddon(options: BuildAddonOptions = {}): Promise<BuiltAddon> {
  const start = performance.now()
  const source = packageRoot()
  const place = options.out === undefined ? source : resolve(options.out)
  const tools = await findBuildTools({ pythonInclude: options.pythonInclude })
  const out = join(place, 'build')
  await checkWritable(out)
  const folder = await compile({ tools, source, out, ...output(options) })
  const addon = join(folder, 'torchbed.node')
  await checkLoads(addon)
  return {
    addon,
    bridge: libraryBeside(addon, 'bridge'),
    tools,
    seconds: (performance.now() - start) / 1000,
    prebuildFolder: place === source ? null : place,
  }
}

function output({ onOutput }: BuildAddonOptions): Pick<BuildAddonOptions, 'onOutput'> {
  return onOutput === undefined ? {} : { onOutput }
}

async function checkWritable(folder: string): Promise<void> {
  try {
    await makeFolder(folder, 'none')
    await access(folder, constants.W_OK)
  } catch (cause) {
    throw new BuildError(`Cannot write to ${folder}: ${(cause as Error).message}`, {
      otherwise: 'Name another folder with --out',
      cause,
    })
  }
}

/** In another process, so that a crash is reported and nothing stays loaded in this one. */
async function checkLoads(addon: string): Promise<void> {
  try {
    const program = 'require(process.argv[1])'
    await promisify(execFile)(process.execPath, ['-e', program, addon], {
      timeout: LOAD_TIMEOUT_MS,
    })
  } catch (cause) {
    const { stderr = '', signal } = cause as { stderr?: string; signal?: string | null }
    const reason = stderr.trim() || (signal ? `Node.js was killed by ${signal}` : String(cause))
    throw new BuildError(`The compiled addon does not load: ${addon}`, {
      otherwise: 'The compiler may be for another processor or C library than this Node.js',
      details: reason.split('\n').slice(0, 10),
      cause,
    })
  }
}
