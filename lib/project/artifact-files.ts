import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Gives `use` the path of an artifact file in a folder of its own, which is removed afterwards. The
 * name is the reference's (spec section 5): workloads may look at it.
 */
export async function withArtifactFile<T>(use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'torchbed-artifact-'))
  try {
    return await use(join(folder, 'artifact.safetensors'))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
