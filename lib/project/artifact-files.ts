/** Temporary files of artifacts, for workloads that take and give them by path. */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { hasEnded, processStamp, STAMP_PATTERN } from '../files/process-stamp.js'

/** With the stamp of its process, so that what a killed process left can be told from what is in use. */
const FOLDER_NAME = new RegExp(`^torchbed-artifact-(${STAMP_PATTERN})-`)

let leftovers: Promise<void> | undefined

/**
 * Gives `use` the path of an artifact file in a temporary folder, which is removed afterwards. The
 * file's name is the reference's (spec project#operations): workloads may look at it. The first call in a
 * process also removes the folders of processes that were killed.
 */
export async function withArtifactFile<T>(use: (path: string) => Promise<T>): Promise<T> {
  await (leftovers ??= removeLeftovers())
  const folder = await mkdtemp(join(tmpdir(), `torchbed-artifact-${processStamp()}-`))
  try {
    return await use(join(folder, 'artifact.safetensors'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const owner = FOLDER_NAME.exec(name)?.[1]
    if (owner === undefined || !hasEnded(owner)) continue
    // Another user's, or another process was quicker.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined)
  }
}
