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
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined || sync === 'none') return
  const top = dirname(resolve(first))
  let at = resolve(folder)
  while (at !== top && at !== dirname(at)) {
    at = dirname(at)
    await syncFolder(at)
  }
}
