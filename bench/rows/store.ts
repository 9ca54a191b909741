/** A model into a store of artifacts and out again, against the least that this can cost. */

import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { chunkingScheme, FsArtifactStore } from '../../lib/store/index.js'
import { EmbeddedRuntime } from '../../lib/index.js'
import { readWhole, timedThenRemoved, writeWhole } from '../files.js'
import { interleaved } from '../measure.js'
import { openWeights, publish } from '../project.js'
import { largeMegabytes, measured, type Group, type RowSpec } from '../row.js'
import { scratchFolder } from '../scratch.js'

const PUBLISH: RowSpec = {
  id: 'publish',
  title: 'publish 400 MB into a durable store / hash once, write once, sync once',
  better: 'at most',
  limit: 1.3,
  needs: ['torch'],
}
const LOAD_STORE: RowSpec = {
  id: 'load-store',
  title: 'load 400 MB from a store / read once from the page cache, hash once',
  better: 'at most',
  limit: 2,
  needs: ['torch'],
}

/** What a workload config has when it names no chunk size (spec project#workload-config), in bytes. */
const SMALL_CHUNK_BYTES = 262_144

export const store: Group = {
  name: 'store',
  rows: [PUBLISH, LOAD_STORE],
  async *run(effort) {
    effort.begin(PUBLISH.id, LOAD_STORE.id)
    const megabytes = largeMegabytes(effort)
    const rounds = effort.quick ? 2 : 5
    await using runtime = await EmbeddedRuntime.start()
    await using project = await openWeights(runtime, megabytes)
    await using cutSmall = await openWeights(runtime, megabytes, chunkingScheme(SMALL_CHUNK_BYTES))
    const model = await project.initModel()
    const modelCutSmall = await cutSmall.initModel()
    await using scratch = await scratchFolder()
    const kept = new FsArtifactStore(join(scratch.path, 'kept'))
    const artifact = await publish(project, model, kept)
    const bytes = await kept.materializeArtifactBytes(artifact)
    const whole = join(scratch.path, 'whole.safetensors')
    await writeWhole(whole, bytes, { sync: true })
    const fresh = join(scratch.path, 'fresh')
    const took = await interleaved(
      {
        // A store of its own each time: one that has the chunks would not write them again.
        publish: () =>
          timedThenRemoved(fresh, () => publish(project, model, new FsArtifactStore(fresh))),
        publishSmall: () =>
          timedThenRemoved(fresh, () =>
            publish(cutSmall, modelCutSmall, new FsArtifactStore(fresh)),
          ),
        writeOnce: () =>
          timedThenRemoved(fresh, async () => {
            sha256(bytes)
            await writeWhole(fresh, bytes, { sync: true })
          }),
        load: () => project.loadModelArtifact(model, artifact, kept),
        readOnce: async () => sha256(await readWhole(whole)),
        hashOnce: () => sha256(bytes),
      },
      rounds,
    )
    const settings = { megabytes, rounds }
    yield measured(
      PUBLISH,
      took.publish / took.writeOnce,
      {
        publish_ms: took.publish,
        write_once_ms: took.writeOnce,
        hash_alone_ms: took.hashOnce,
        publish_256_kib_chunks_ms: took.publishSmall,
      },
      settings,
    )
    yield measured(
      LOAD_STORE,
      took.load / took.readOnce,
      { load_ms: took.load, read_once_ms: took.readOnce, hash_alone_ms: took.hashOnce },
      settings,
    )
  },
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
