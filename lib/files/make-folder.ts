import { mkdir } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { syncFolder } from './atomic-write.js'

/**
 * Makes a folder, and those above it that are missing. Each is named on the disk when this resolves, so that a
 * crash of the machine cannot take away what is then written into it; with `none`, that is left to the system.
 *
 * @throws the system's error
 */
export async function makeFolder(folder: string, sync: 'full' | 'none' = 'full'): Promise<void> {
  const first = await mkdir(folder, { recursive: true }).catch((error: unknown) =>
    makeStepByStep(folder, error),
  )
  if (first === undefined || sync === 'none') return
  const top = dirname(resolve(first))
  let at = resolve(folder)
  while (at !== top && at !== dirname(at)) {
    at = dirname(at)
    await syncFolder(at)
  }
}

/**
 * Node.js says ENOENT for whatever keeps it from making the folders above, a read-only file system among others. Making
 * them one by one gives the system's own reason.
 */
async function makeStepByStep(folder: string, error: unknown): Promise<string | undefined> {
  let at = resolve(folder)
  let reason = error
  while (hasCode(reason, 'ENOENT')) {
    try {
      await mkdir(at)
      return await mkdir(folder, { recursive: true })
    } catch (next) {
      reason = next
    }
    if (at === dirname(at)) break
    at = dirname(at)
  }
  throw hasCode(reason, 'EEXIST') ? error : reason
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
