/** Where the native addon is, why there, and the command that repairs it when it is not. */
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join, sep } from 'node:path'
import { AddonError, type Repair } from '../../errors.js'
import { packageRoot } from '../package-root.js'
import { unsetVariable } from '../python/install-commands.js'

/** The addon's file, which need not load. */
export interface AddonPlace {
  /** Absolute. */
  readonly path: string
  /** Why this one, such as `built in the package`. */
  readonly chosenBecause: string
}

const require = createRequire(import.meta.url)

/**
 * Finds the addon: in the folder that `TORCHBED_PREBUILD` names, else in the package; there `build/Release` before
 * `build/Debug` before `prebuilds/<platform>-<arch>`, with `PREBUILDS_ONLY` only the last; else beside Node.js.
 *
 * @throws AddonError when there is none for this platform
 */
export function findAddon(): AddonPlace {
  let place = 'the package'
  try {
    const nodeGypBuild = require('node-gyp-build') as { path(root: string): string }
    place = packageRoot()
    const path = nodeGypBuild.path(place)
    return { path, chosenBecause: reasonFor(path) }
  } catch (cause) {
    const named = process.env.TORCHBED_PREBUILD
    const where = named ? `${named}, which TORCHBED_PREBUILD names` : place
    throw new AddonError(
      `Cannot find torchbed's native addon for ${process.platform}-${process.arch} in ${where}`,
      { ...addonRepair(), cause },
    )
  }
}

/** `torchbed_bridge.glibc.so` beside `torchbed.glibc.node`: prebuilds for different libcs share a folder. */
export function libraryBeside(loader: string, library: 'bridge' | 'numerics'): string {
  const name = basename(loader, '.node').replace(/^torchbed/, `torchbed_${library}`)
  return join(dirname(loader), `${name}.${process.platform === 'win32' ? 'dll' : 'so'}`)
}

/** How an addon that is absent or does not load comes to be. */
export function addonRepair(): Pick<Repair, 'remedy' | 'otherwise'> {
  const named = variablesOverBuild()[0]
  return {
    remedy: named === undefined ? buildCommand() : unsetVariable(named),
    otherwise: 'In a bundle, keep torchbed external',
  }
}

/** The environment variables that are set and put other places before `build/Release` in the package. */
export function variablesOverBuild(): string[] {
  return ['TORCHBED_PREBUILD', 'PREBUILDS_ONLY'].filter((name) => process.env[name])
}

/** The command that compiles the addon: in a clone, in an installed package. */
export function buildCommand(): string {
  const isClone = existsSync(join(packageRoot(), 'scripts', 'setup.mjs'))
  return isClone ? 'npm run setup' : 'npx torchbed build'
}

function reasonFor(path: string): string {
  const { TORCHBED_PREBUILD } = process.env
  if (TORCHBED_PREBUILD) return 'TORCHBED_PREBUILD names its folder'
  if (path.startsWith(dirname(process.execPath) + sep)) return 'it lies beside Node.js'
  const isBuilt = path.split(sep).includes('build')
  return isBuilt ? 'built on this machine' : `prebuilt for ${process.platform}-${process.arch}`
}
