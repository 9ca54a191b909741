/** The package as `npm install` lays it out: what `npm pack` puts into the tarball, in a folder's node_modules. */

import { execFile } from 'node:child_process'
import { mkdir, readFile, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { packageRoot } from '../../lib/runtime/package-root.js'

const execute = promisify(execFile)
const root = packageRoot()

/** What `npm pack` says of a tarball. */
export interface Packed {
  /** Size of the tarball, in bytes. */
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

/**
 * Packs the package and puts it into `folder`'s node_modules, with its dependencies and those named in `beside`, which are
 * links to this repository's: a test needs no registry.
 */
export async function installPacked(
  folder: string,
  beside: readonly string[] = [],
): Promise<Packed> {
  const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
  const { stdout } = await execute('npm', args, { cwd: root, maxBuffer: 2 ** 24 })
  const [packed] = JSON.parse(stdout) as [Packed & { readonly filename: string }]
  const modules = join(folder, 'node_modules')
  await mkdir(join(modules, 'torchbed'), { recursive: true })
  const into = ['-C', join(modules, 'torchbed'), '--strip-components=1']
  await execute('tar', ['xzf', join(folder, packed.filename), ...into])
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    readonly dependencies: Record<string, string>
  }
  for (const name of [...Object.keys(manifest.dependencies), ...beside]) {
    await mkdir(dirname(join(modules, name)), { recursive: true })
    await symlink(join(root, 'node_modules', name), join(modules, name), 'dir')
  }
  return packed
}
