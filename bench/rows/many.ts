/** Much of what is small: short artifacts, many of them, a store of many chunks, a window of many batches. */

import { execFile } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { EmbeddedRuntime, type TrainBatch } from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { chunkingScheme, FsArtifactStore } from '../../lib/store/index.js'
import { readWhole, timedThenRemoved, writeWhole } from '../files.js'
import { interleaved } from '../measure.js'
import { openProject, openWeights, publish } from '../project.js'
import { measured, type Effort, type Group, type Row, type RowSpec } from '../row.js'
import { scratchFolder } from '../scratch.js'
import { quietWorkload } from '../workload.js'
import { batchRefs } from './calls.js'

const PUBLISH: RowSpec = {
  id: 'publish-4',
  title: 'publish 4 MB into a durable store / hash once, write once, sync once',
  better: 'at most',
  // The chunk, its folder, the manifest and its folder are synced, each after the other.
  limit: 4,
  needs: ['torch'],
}
const ARTIFACTS: RowSpec = {
  id: 'store-1000',
  title: 'store 1,000 artifacts of 64 KiB durably / hash, write and sync a file for each',
  better: 'at most',
  limit: 4,
}
const INSPECT: RowSpec = {
  id: 'inspect',
  title: '`torchbed inspect` of a store of 2 GB / read and hash its chunks once',
  better: 'at most',
  limit: 1.5,
}
const WINDOW: RowSpec = {
  id: 'window-10000',
  title: 'trainWindow with 10,000 batches / the same call of the runtime, unchecked',
  better: 'at most',
  limit: 1.5,
}

const SPEC = {
  kind: 'FullHead',
  head_id: 'head-1',
  precision: 'Fp32',
  model_schema_hash: 'bench',
  record_format: 'python-torch-safetensors',
} as const

export const many: Group = {
  name: 'many',
  rows: [PUBLISH, ARTIFACTS, INSPECT, WINDOW],
  async *run(effort) {
    for (const [spec, measure] of [
      [PUBLISH, publishShort],
      [ARTIFACTS, storeMany],
      [INSPECT, inspect],
      [WINDOW, window],
    ] as const) {
      if (!effort.wants(spec.id)) continue
      effort.begin(spec.id)
      yield await measure(effort)
    }
  },
}

async function publishShort(effort: Effort): Promise<Row> {
  const rounds = effort.quick ? 3 : 31
  await using runtime = await EmbeddedRuntime.start()
  await using project = await openWeights(runtime, 4)
  await using model = await project.initModel()
  await using scratch = await scratchFolder()
  const fresh = join(scratch.path, 'fresh')
  const kept = new FsArtifactStore(join(scratch.path, 'kept'))
  const bytes = await kept.materializeArtifactBytes(await publish(project, model, kept))
  const took = await interleaved(
    {
      // A store that has the chunks would not write them again.
      publish: () =>
        timedThenRemoved(fresh, () => publish(project, model, new FsArtifactStore(fresh))),
      writeOnce: () =>
        timedThenRemoved(fresh, async () => {
          sha256(bytes)
          await writeWhole(fresh, bytes, { sync: true })
        }),
    },
    rounds,
  )
  const medians = { publish_ms: took.publish, write_once_ms: took.writeOnce }
  return measured(PUBLISH, took.publish / took.writeOnce, medians, { megabytes: 4, rounds })
}

async function storeMany(effort: Effort): Promise<Row> {
  const count = effort.quick ? 50 : 1000
  const rounds = effort.quick ? 1 : 3
  const bytes = randomFillSync(new Uint8Array(64 * 1024))
  await using scratch = await scratchFolder()
  let made = 0
  const other = () => {
    new DataView(bytes.buffer).setUint32(0, ++made)
    return bytes
  }
  const took = await interleaved(
    {
      store: async () => {
        const store = new FsArtifactStore(join(scratch.path, `store-${made}`))
        for (let i = 0; i < count; i++) await store.storeArtifactBytes(SPEC, other())
      },
      files: async () => {
        for (let i = 0; i < count; i++) {
          sha256(other())
          await writeWhole(join(scratch.path, `file-${made}`), bytes, { sync: true })
        }
      },
    },
    rounds,
  )
  const medians = { store_ms: took.store, files_ms: took.files }
  return measured(ARTIFACTS, took.store / took.files, medians, { artifacts: count, rounds })
}

async function inspect(effort: Effort): Promise<Row> {
  const artifacts = effort.quick ? 2 : 20
  const rounds = effort.quick ? 1 : 3
  await using scratch = await scratchFolder()
  const root = join(scratch.path, 'store')
  const store = new FsArtifactStore(root, { durability: 'none' })
  const bytes = new Uint8Array(100_000_000)
  const paths: string[] = []
  for (let i = 0; i < artifacts; i++) {
    for (let at = 0; at < bytes.length; at += 2 ** 26) {
      randomFillSync(bytes, at, Math.min(2 ** 26, bytes.length - at))
    }
    const { chunks } = await store.storeArtifactBytes(SPEC, bytes, chunkingScheme())
    paths.push(...chunks.map(({ chunk_id }) => store.chunkPath(chunk_id)))
  }
  const program = join(packageRoot(), 'dist', 'lib', 'cli', 'main.js')
  const took = await interleaved(
    {
      inspect: () => promisify(execFile)(process.execPath, [program, 'inspect', root, '--json']),
      readOnce: async () => {
        for (const path of paths) sha256(await readWhole(path))
      },
    },
    rounds,
  )
  const medians = { inspect_ms: took.inspect, read_once_ms: took.readOnce }
  const settings = { megabytes: artifacts * 100, rounds }
  return measured(INSPECT, took.inspect / took.readOnce, medians, settings)
}

async function window(effort: Effort): Promise<Row> {
  const rounds = effort.quick ? 3 : 21
  await using runtime = await EmbeddedRuntime.start()
  await using project = await openProject(runtime, quietWorkload)
  await using model = await project.initModel()
  const session = await runtime.openWorkload(quietWorkload)
  await session.call('init_model', { device: 'cpu' })
  const refs = batchRefs(10_000)
  const batches = refs as readonly TrainBatch[]
  const took = await interleaved(
    {
      window: () => project.trainWindow({ model, batches }),
      call: () => session.call('train_window', { model_id: 'm1', batches: refs }),
    },
    rounds,
  )
  const medians = { window_ms: took.window, call_ms: took.call }
  return measured(WINDOW, took.window / took.call, medians, { batches: 10_000, rounds })
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
