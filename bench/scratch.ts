/** A temporary folder for large files, gone when the process ends, however it is told to. */

import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const inUse = new Set<string>()

process.on('exit', () => {
  for (const folder of inUse) rmSync(folder, { recursive: true, force: true })
})

export async function scratchFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'torchbed-bench-'))
  inUse.add(path)
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true })
      inUse.delete(path)
    },
  }
}
