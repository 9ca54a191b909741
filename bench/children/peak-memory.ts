/**
 * peak-memory.js publish|load MEGABYTES FOLDER
 *
 * Prints {"artifact_bytes", "before_bytes", "peak_bytes"} as JSON: the resident memory before one publish or
 * load of weights, the model included, and its peak during it. The store is below FOLDER; `load` takes what
 * `publish` has left there. Linux.
 */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { EmbeddedRuntime, type TorchProject } from '../../lib/index.js'
import { FsArtifactStore } from '../../lib/store/index.js'
import { openWeights, publish } from '../project.js'

const [operation, megabytes, folder = ''] = process.argv.slice(2)

await using runtime = await EmbeddedRuntime.start()
await using small = await openWeights(runtime, 4)
await warmUp(small, new FsArtifactStore(join(folder, `warm-${operation ?? ''}`)))
await using project = await openWeights(runtime, Number(megabytes))
const model = await project.initModel()
const store = new FsArtifactStore(join(folder, 'store'))
globalThis.gc?.()

if (operation === 'publish') {
  const artifact = await watched(() => publish(project, model, store))
  await writeFile(join(folder, 'artifact-id'), artifact.artifact_id)
} else {
  const artifact = await store.loadManifest(await readFile(join(folder, 'artifact-id'), 'utf8'))
  await watched(async () => {
    await project.loadModelArtifact(model, artifact, store)
    return artifact
  })
}

/** Both directions once, so that code and threads are there. */
async function warmUp(project: TorchProject, store: FsArtifactStore): Promise<void> {
  const model = await project.initModel()
  await project.loadModelArtifact(model, await publish(project, model, store), store)
  await model.release()
}

/** Runs the operation and prints what memory it took. */
async function watched<T extends { readonly bytes_len: number }>(
  work: () => Promise<T>,
): Promise<T> {
  // Sets the peak back to what is resident now.
  await writeFile('/proc/self/clear_refs', '5')
  const before = await memory('VmRSS')
  const artifact = await work()
  const peak = await memory('VmHWM')
  console.log(
    JSON.stringify({ artifact_bytes: artifact.bytes_len, before_bytes: before, peak_bytes: peak }),
  )
  return artifact
}

async function memory(field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8')
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
  if (kib === undefined) throw new Error(`/proc/self/status has no ${field}`)
  return Number(kib) * 1024
}
