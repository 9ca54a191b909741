/** The shard cache, whose every system call fails once; faults.ts says how. A program of its own. */
import { readdir, readFile, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { isTempFileName } from '../../../lib/files/atomic-write.js'
import { ShardCache } from '../../../lib/data/index.js'
import { Dataset } from '../../data/support/dataset.js'
import { sweep, type Scenario } from './faults.js'
import { bytesOf } from './random.js'
import { FaultFile } from '../faults.js'
import { contentId } from '../../../lib/schema/index.js'

const [folder = '', orders = ''] = process.argv.slice(2)
const dataset = await Dataset.make(4)
const root = join(folder, 'watched')

/** Shards 0 and 1 come and go, the latter in several pieces; 2 and 3 stay. */
const contents = [9, 600_000, 1000, 300_000].map((length, seed) => bytesOf(seed, length))
const entries = dataset.manifest.entries.map((entry, i) => ({
  ...entry,
  content_hash: contentId(contents[i]!),
  bytes_len: contents[i]!.length,
}))
for (const { locator, ordinal } of entries) await dataset.put(locator, contents[ordinal]!)
await dataset.publish(entries)
const manifest = { ...dataset.manifest, entries }

const cache = new ShardCache(root)
const view = manifest.dataset_view_id
await dataset.fetch([2, 3], { cache })

async function* right(ordinals: readonly number[]): AsyncGenerator<string> {
  for (const ordinal of ordinals) {
    const found = await readFile(cache.shardPath(view, ordinal)).catch(() => undefined)
    if (found === undefined) yield `shard ${ordinal} is missing`
    else if (!contents[ordinal]!.equals(found)) yield `shard ${ordinal} has wrong bytes`
  }
}

const scenarios: readonly Scenario[] = [
  {
    name: 'fetching',
    before: async () => {
      for (const ordinal of [0, 1]) await rm(cache.shardPath(view, ordinal), { force: true })
    },
    run: async () => {
      await dataset.fetch([0, 1], { cache: new ShardCache(root) })
    },
    after: () => right([0, 1]),
  },
  {
    name: 'serving from the cache',
    run: async () => {
      await dataset.fetch([2, 3], { cache: new ShardCache(root) })
    },
    after: () => right([2, 3]),
  },
  {
    name: 'storing the manifest again',
    run: () => cache.storeFetchManifest(manifest),
    after: async function* () {
      const found = await cache.loadFetchManifest(view)
      if (found?.entries.length !== entries.length) yield 'the manifest is not the stored one'
    },
  },
  {
    name: 'evicting',
    before: async () => {
      await dataset.fetch([0, 1], { cache })
    },
    run: async () => {
      await cache.evictExcept(view, [dataset.id(2), dataset.id(3)])
    },
    after: async function* () {
      const names = await readdir(cache.datasetDir(view))
      if (names.length !== 3) yield `the folder has ${names.join()}`
    },
  },
]

const result = await sweep(
  {
    code: 'ERR_DATA_IO',
    scenarios,
    standing: async function* ({ operations }) {
      yield* right([2, 3])
      const reopened = new ShardCache(root)
      if ((await reopened.loadFetchManifest(view)) === undefined) yield 'the manifest is lost'
      const gone = { Local: { root: join(folder, 'nowhere') } }
      await dataset.fetch([2, 3], { cache: reopened, upstream: gone })
      const left = (await readdir(cache.datasetDir(view))).filter(isTempFileName)
      if (left.length > 0 && !operations.includes('unlink')) yield `left ${left.join()}`
      for (const name of left) await utimes(join(cache.datasetDir(view), name), 0, 0)
      await reopened.evictExcept(
        view,
        entries.map(({ microshard_id }) => microshard_id),
      )
      if ((await readdir(cache.datasetDir(view))).some(isTempFileName)) yield 'eviction left files'
    },
  },
  new FaultFile(orders),
)
await dataset.remove()
console.log(JSON.stringify(result))
