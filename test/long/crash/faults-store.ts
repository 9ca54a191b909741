/** The artifact store, whose every system call fails once; faults.ts says how. A program of its own. */
import { mkdir, readdir, readFile, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { chunkingScheme, FsArtifactStore } from '../../../lib/store/index.js'
import type { ArtifactDescriptor, HeadDescriptor } from '../../../lib/schema/index.js'
import { sweep, type Scenario } from './faults.js'
import { bytesOf } from './random.js'
import { FaultFile } from '../faults.js'

const [folder = '', orders = ''] = process.argv.slice(2)
const root = join(folder, 'watched', 'store')
const files = join(folder, 'watched', 'files')
await mkdir(files, { recursive: true })
const store = new FsArtifactStore(root)

const spec = {
  kind: 'FullHead',
  precision: 'Fp32',
  model_schema_hash: 'schema',
  record_format: 'bytes',
} as const

const head: HeadDescriptor = {
  head_id: 'head',
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  artifact_id: 'artifact',
  parent_head_id: null,
  global_step: 0,
  created_at: '2026-01-02T03:04:05Z',
  metrics: {},
}

const CHUNKING = chunkingScheme(1000)
const oldBytes = bytesOf(0, 2500)
const old = await store.storeArtifactBytes(spec, oldBytes, CHUNKING, { pin: true })
await store.storeHead(head)
const target = join(files, 'target.bin')
await store.materializeArtifactFile(old, target)

let stored: ArtifactDescriptor = old
let loaded: Uint8Array = oldBytes
let removed: readonly string[] = []

// eslint-disable-next-line @typescript-eslint/require-await -- a check is asynchronous
async function* same(found: Uint8Array, wanted: Uint8Array, what: string): AsyncGenerator<string> {
  if (Buffer.compare(found, wanted) !== 0) yield `${what} has wrong bytes`
}

const storing = (name: string, length: number, chunkSize: number): Scenario => ({
  name,
  // A claim that cannot be deleted dies by itself.
  mayPass: ['unlink'],
  run: async (round) => {
    const bytes = bytesOf(round, length)
    stored = await store.storeArtifactReader(spec, [bytes], chunkingScheme(chunkSize), {
      pin: true,
    })
  },
  after: async function* (round) {
    yield* same(
      await store.materializeArtifactBytes(stored),
      bytesOf(round, length),
      'the artifact',
    )
    if (!(await store.pinnedArtifacts()).has(stored.artifact_id)) yield 'it is not pinned'
    await store.unpinArtifact(stored.artifact_id)
  },
})

/** The same chunks once more, which are old: they are found, and made young again. */
const reusing: Scenario = {
  ...storing('storing what is there', 1500, 1000),
  before: async (round) => {
    const { chunks } = await store.storeArtifactReader(spec, [bytesOf(round, 1500)], CHUNKING)
    for (const { chunk_id } of chunks) await utimes(store.chunkPath(chunk_id), 0, 0)
  },
}

const scenarios: readonly Scenario[] = [
  storing('storing a small artifact', 1500, 1000),
  storing('storing a large artifact', 1_100_000, 600_000),
  reusing,
  {
    name: 'storing a head again',
    run: async (round) => {
      await store.storeHead({ ...head, global_step: round }, { replace: true })
    },
    after: async function* (round) {
      const { global_step } = await store.loadHead('head')
      if (global_step !== round) yield `the head has step ${global_step}`
    },
  },
  {
    name: 'pinning',
    run: (round) => store.pinHead(`head ${round}`),
    after: async function* (round) {
      if (!(await store.pinnedHeads()).has(`head ${round}`)) yield 'it is not pinned'
    },
  },
  {
    name: 'loading',
    run: async () => {
      loaded = await store.materializeArtifactBytes(await store.loadManifest(old.artifact_id))
    },
    after: () => same(loaded, oldBytes, 'the artifact'),
  },
  {
    name: 'verifying',
    run: async () => {
      const isComplete = await store.hasCompleteArtifact(old.artifact_id, { verify: true })
      loaded = isComplete ? oldBytes : new Uint8Array()
    },
    after: () => same(loaded, oldBytes, 'the artifact'),
  },
  {
    name: 'writing a file again',
    run: async () => {
      await store.materializeArtifactFile(old, target)
    },
    after: async function* () {
      yield* same(await readFile(target), oldBytes, 'the file')
    },
  },
  {
    name: 'collecting',
    before: async (round) => {
      stored = await store.storeArtifactReader(spec, [bytesOf(round, 2000)], CHUNKING)
      for (const { chunk_id } of stored.chunks) await utimes(store.chunkPath(chunk_id), 0, 0)
    },
    run: async () => {
      removed = (await store.garbageCollect()).removed_manifests
    },
    after: async function* () {
      if (!removed.includes(stored.artifact_id)) yield 'the artifact was not collected'
      for (const { chunk_id } of stored.chunks) {
        if (await store.hasChunk(chunk_id)) yield `chunk ${chunk_id} was not collected`
      }
    },
  },
]

const result = await sweep(
  {
    code: 'ERR_CHECKPOINT_IO',
    scenarios,
    standing: async function* ({ operations }) {
      yield* same(await store.materializeArtifactBytes(old), oldBytes, 'the old artifact')
      yield* same(await readFile(target), oldBytes, 'the old file')
      await store.loadHead('head')
      for await (const found of store.listManifests()) {
        if ('error' in found) yield String(found.error)
        else if (!(await store.hasCompleteArtifact(found.record.artifact_id, { verify: true })))
          yield `artifact ${found.record.artifact_id} is listed, but not complete`
      }
      const names = await readdir(join(folder, 'watched'), { recursive: true })
      const left = names.filter((name) => name.endsWith('.tmp'))
      // What cannot be deleted stays, for the next collection.
      if (left.length > 0 && !operations.includes('unlink')) yield `left ${left.join()}`
      // This process lives, so that only their age says that they are left over.
      for (const name of left) await utimes(join(folder, 'watched', name), 0, 0)
      await new FsArtifactStore(root).garbageCollect()
      const after = await readdir(root, { recursive: true })
      if (after.some((name) => name.endsWith('.tmp'))) yield 'a collection left temporary files'
    },
  },
  new FaultFile(orders),
)
console.log(JSON.stringify(result))
