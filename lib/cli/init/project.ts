import { lstat, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../../files/make-folder.js'
import { ConfigError } from '../../errors.js'
import { writeFileAtomic } from '../../files/atomic-write.js'
import { packageRoot } from '../../runtime/package-root.js'
import { FilesExistError } from '../errors.js'

/** What a first project consists of, in lib/cli/init/templates. */
export const PROJECT_FILES = ['torchbed.json', 'spirals.py', 'prepare.py'] as const

export interface WrittenProject {
  /** Absolute. */
  readonly folder: string
  /** Relative to the folder. */
  readonly files: readonly string[]
}

/**
 * Writes a first project into a folder, which is made if need be.
 *
 * @param force whether to overwrite its files; others are never touched
 * @throws FilesExistError, with nothing written, when some are there and `force` is false; ConfigError when the
 *   folder cannot be made or written to; the system's ENOSPC or EDQUOT when the disk is full
 */
export async function writeProject(folder: string, force: boolean): Promise<WrittenProject> {
  const templates = join(packageRoot(), 'lib', 'cli', 'init', 'templates')
  const files = PROJECT_FILES.map((name) => ({
    from: join(templates, name),
    to: join(folder, name),
  }))
  if (!force) refuseExisting(folder, await existing(files.map(({ to }) => to)))
  try {
    await makeFolder(folder, 'none')
    for (const { from, to } of files) {
      const content = await readFile(from)
      // Not even a file that has come since.
      if (force) await writeFileAtomic(to, content)
      else await writeFile(to, content, { flag: 'wx' })
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    // A full disk is no fault of the folder, and something was begun.
    if (code === undefined || code === 'ENOSPC' || code === 'EDQUOT') throw cause
    throw new ConfigError(`Cannot write to ${JSON.stringify(folder)}`, [{ path: '', message }], {
      cause,
    })
  }
  return { folder, files: PROJECT_FILES }
}

function refuseExisting(folder: string, paths: readonly string[]): void {
  if (paths.length === 0) return
  const names = paths.map((path) => `\n  ${path}`).join('')
  throw new FilesExistError(
    `Cannot write a project into ${JSON.stringify(folder)}, it would overwrite:${names}\n` +
      'Name another folder, or overwrite them with --force',
    paths,
  )
}

async function existing(paths: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of paths) {
    // A dangling link exists too.
    if ((await lstat(path).catch(() => undefined)) !== undefined) found.push(path)
  }
  return found
}
