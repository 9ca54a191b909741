/** Copies of torchbed in the `node_modules` that a program in a folder can reach. */
import { readdir, readFile, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { packageRoot } from '../runtime/package-root.js'
import type { Check } from './check.js'

/** Folders `node_modules` that are looked into at most; a large project has some thousand. */
const MAX_FOLDERS = 50_000

interface Copy {
  /** Absolute, without links. */
  readonly path: string
  readonly version: string
}

/** Which torchbed this is, and whether another one is installed beside it: a process can run Python in one only. */
export async function checkCopies(cwd: string): Promise<Check> {
  const name = 'torchbed'
  const own = await copyIn(packageRoot())
  const value = `${own?.version ?? 'unknown version'} in ${packageRoot()}`
  const copies = await installedCopies(cwd)
  if (copies.length > 1) {
    const list = copies.map(({ path, version }) => `${version} in ${path}`)
    return {
      name,
      status: 'failure',
      value: `${copies.length} copies`,
      detail: [
        `${copies.length} copies of torchbed are installed, but a process can run Python through only one of them; ` +
          'if this leaves more than one, `npm ls torchbed` shows what depends on which',
        ...list,
      ].join('\n'),
      remedy: 'npm dedupe',
      code: 'ERR_RUNTIME_CONFLICT',
    }
  }
  const [installed] = copies
  if (installed === undefined || installed.path === own?.path) return { name, status: 'ok', value }
  return {
    name,
    status: 'warning',
    value,
    detail: `The project has torchbed ${installed.version} in ${installed.path}, but this is another copy`,
    remedy: 'npx torchbed doctor',
  }
}

/** Looks into `node_modules` of the folder and of those above it, and into those of packages in there. */
async function installedCopies(cwd: string): Promise<Copy[]> {
  const copies = new Map<string, Copy>()
  const seen = new Set<string>() // packages of a workspace link to one another
  const waiting: string[] = []
  for (let folder = cwd; ; folder = dirname(folder)) {
    waiting.push(join(folder, 'node_modules'))
    if (folder === dirname(folder)) break
  }
  while (waiting.length > 0 && seen.size < MAX_FOLDERS) {
    const modules = await realpath(waiting.pop() ?? '').catch(() => null)
    if (modules === null || seen.has(modules)) continue
    seen.add(modules)
    for (const folder of await packagesIn(modules)) {
      if (folder.endsWith('torchbed')) {
        const copy = await copyIn(folder)
        if (copy !== null) copies.set(copy.path, copy)
      }
      waiting.push(join(folder, 'node_modules'))
    }
  }
  return [...copies.values()]
}

/** The packages of one `node_modules`, those of a scope and pnpm's own folders included. */
async function packagesIn(modules: string): Promise<string[]> {
  const folders: string[] = []
  for (const entry of await entriesOf(modules)) {
    const path = join(modules, entry)
    if (entry === '.pnpm' || entry.startsWith('@')) {
      folders.push(...(await entriesOf(path)).map((name) => join(path, name)))
    } else if (!entry.startsWith('.')) folders.push(path)
  }
  return folders
}

async function entriesOf(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => [])
}

async function copyIn(folder: string): Promise<Copy | null> {
  try {
    const manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as unknown
    if (typeof manifest !== 'object' || manifest === null) return null
    const { name, version } = manifest as { name?: unknown; version?: unknown }
    if (name !== 'torchbed') return null
    return { path: await realpath(folder), version: String(version) }
  } catch {
    return null
  }
}
