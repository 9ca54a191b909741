import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { syncFolder } from './atomic-write.js'

const ATTEMPTS = 3

/**
 * Makes a folder, and those above it that are missing. Each is named on the disk when this resolves, so that a
 * crash of the machine cannot take away what is then written into it; with `none`, that is left to the system.
 *
 * Not `mkdir` with `recursive`: where a file system says ENOENT to whatever is to be made in it, as /proc does, Node.js
 * tries again without end; and it says ENOENT of a read-only file system, too.
 *
 * @throws the system's error
 */
export async function makeFolder(folder: string, sync: 'full' | 'none' = 'full'): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await makeMissing(folder, sync)
      return
    } catch (error) {
      // One above it may have been removed meanwhile; that does not go on for long.
      if (!hasCode(error, 'ENOENT') || attempt === ATTEMPTS) throw error
    }
  }
}

async function makeMissing(folder: string, sync: 'full' | 'none'): Promise<void> {
  const missing: string[] = []
  let at = resolve(folder)
  while (!(await isMade(at))) {
    missing.push(at)
    at = dirname(at)
  }
  for (const path of missing.reverse()) {
    await mkdir(path).catch(async (error: unknown) => {
      // Another may have made it meanwhile.
      if (!hasCode(error, 'EEXIST') || !(await isFolder(path))) throw error
    })
    if (sync === 'full') await syncFolder(dirname(path))
  }
}

/** Whether the folder is there; false when one above it is not. */
async function isMade(folder: string): Promise<boolean> {
  try {
    if ((await stat(folder)).isDirectory()) return true
  } catch (error) {
    // Nothing is above a root, which may be that of a drive that is not there.
    if (hasCode(error, 'ENOENT') && folder !== dirname(folder)) return false
  }
  // This says why it cannot be made.
  await mkdir(folder)
  return true
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
