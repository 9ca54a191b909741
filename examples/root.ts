/** Where the examples and the installed package are: the same for this repository and for a copy beside `node_modules`. */

import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The nearest folder above the examples, compiled or not, that has a package.json. */
export const projectRoot = nearestPackage(dirname(fileURLToPath(import.meta.url)))

/** The program of the `torchbed` command. */
export const cli = join(
  dirname(fileURLToPath(import.meta.resolve('torchbed/package.json'))),
  ...['dist', 'lib', 'cli', 'main.js'],
)

function nearestPackage(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const above = dirname(folder)
  if (above === folder) throw new Error('no package.json above the examples')
  return nearestPackage(above)
}
