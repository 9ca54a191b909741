/** A copy of the package as npm installs it: what is published, and its dependencies. */
import { cp, mkdir, symlink } from 'node:fs/promises'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packageRoot } from '../../../lib/runtime/package-root.js'

/** What of the package is used at run time. In a published one `prebuilds` stands for `build/Release`. */
export const PARTS = ['package.json', 'dist/lib', 'python/torchbed', 'build/Release'] as const

/** Installs into `folder/node_modules`. */
export async function installCopy(folder: string): Promise<void> {
  const root = packageRoot()
  const modules = join(folder, 'node_modules')
  await copyParts(PARTS, join(modules, 'torchbed'))
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  for (const name of Object.keys(dependencies)) {
    await symlink(join(root, 'node_modules', name), join(modules, name), 'dir')
  }
}

/** Copies files and folders of the package; what Python compiled stays here. */
export async function copyParts(parts: readonly string[], to: string): Promise<void> {
  for (const part of parts) {
    await mkdir(dirname(join(to, part)), { recursive: true })
    const filter = (source: string) => !source.includes('__pycache__')
    await cp(join(packageRoot(), part), join(to, part), { recursive: true, filter })
  }
}
