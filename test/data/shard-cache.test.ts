import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { fetchEntry, ShardCache, type DataError } from '../../lib/data/index.js'
import { ShardFetchManifest } from '../../lib/schema/index.js'
import { content, Dataset, withContent } from './support/dataset.js'

describe('the shard cache', () => {
  let dataset: Dataset
  beforeEach(async () => {
    dataset = await Dataset.make()
  })
  afterEach(() => dataset.remove())

  const viewFolder = () => join(dataset.cacheRoot, 'view-1')
  const cachedFile = (ordinal: number) => join(viewFolder(), `0000${ordinal}.bin`)
  const files = async () => (await readdir(viewFolder())).sort()

  it('fetches the microshards of a lease from a folder, in lease order', async () => {
    const cached = await dataset.fetch([2, 0])
    assert.deepEqual(
      cached,
      [2, 0].map((ordinal) => ({
        microshard: dataset.plan.microshards[ordinal],
        path: cachedFile(ordinal),
        content_hash: dataset.entry(ordinal).content_hash,
        bytes_len: 7,
      })),
    )
    assert.equal(await readFile(cached[0]!.path, 'utf8'), 'shard 2')
    assert.deepEqual(await files(), ['00000.bin', '00002.bin', 'fetch-manifest.json'])
  })

  it('has the layout of spec planning#shard-cache, with ids as file names', () => {
    const cache = new ShardCache('/cache')
    assert.equal(cache.datasetDir('view-1'), '/cache/view-1')
    assert.equal(cache.manifestPath('view-1'), '/cache/view-1/fetch-manifest.json')
    assert.equal(cache.shardPath('view-1', 7), '/cache/view-1/00007.bin')
    assert.equal(cache.shardPath('view-1', 123456), '/cache/view-1/123456.bin')
  })

  it('stores the manifest as pretty JSON and loads it again', async () => {
    const cache = dataset.cache()
    assert.equal(await cache.loadFetchManifest('view-1'), undefined)
    await cache.storeFetchManifest(dataset.manifest)
    assert.deepEqual(await cache.loadFetchManifest('view-1'), dataset.manifest)
    assert.equal(
      await readFile(cache.manifestPath('view-1'), 'utf8'),
      ShardFetchManifest.toJson(dataset.manifest, { pretty: true }),
    )
    assert.deepEqual(await dataset.cache().loadFetchManifest('view-1'), dataset.manifest)
  })

  it('makes manifests with locators of five digits, and finds the first entry of an id', () => {
    assert.deepEqual(
      dataset.manifest.entries.map(({ locator }) => locator),
      ['00000.bin', '00001.bin', '00002.bin'],
    )
    assert.equal(fetchEntry(dataset.manifest, dataset.id(1)), dataset.entry(1))
    assert.equal(fetchEntry(dataset.manifest, 'other'), undefined)
  })

  it('serves a lease from the cache when the upstream is gone, and says so', async () => {
    await dataset.fetch([0, 1])
    await rm(dataset.source, { recursive: true })
    const told: DataError[] = []
    const cache = dataset.cache({ onUpstreamUnreachable: (error) => told.push(error) })
    assert.equal((await dataset.fetch([1, 0], { cache })).length, 2)
    assert.deepEqual(
      told.map(({ code }) => code),
      ['ERR_DATA_IO'],
    )
    await assert.rejects(dataset.fetch([2], { cache }), { code: 'ERR_DATA_IO', message: /source/ })
  })

  it('reports that the upstream cannot be reached when the cache is empty', async () => {
    await rm(dataset.source, { recursive: true })
    await assert.rejects(dataset.fetch([0]), { code: 'ERR_DATA_IO', message: /source/ })
  })

  it('fetches a corrupt cached shard again', async () => {
    await dataset.fetch([0, 1])
    await writeFile(cachedFile(0), 'shard X')
    await truncate(cachedFile(1), 3)
    await dataset.fetch([0, 1])
    assert.equal(await readFile(cachedFile(0), 'utf8'), 'shard 0')
    assert.equal(await readFile(cachedFile(1), 'utf8'), 'shard 1')
  })

  it('fetches a corrupt cached shard again once only, and then says what is wrong', async () => {
    await dataset.fetch([0])
    await writeFile(cachedFile(0), 'shard X')
    await dataset.put('00000.bin', 'shard Y')
    await assert.rejects(dataset.fetch([0]), {
      code: 'ERR_DATA_HASH_MISMATCH',
      expected: dataset.entry(0).content_hash,
      message: /"00000\.bin" of microshard "1220.*hashes to 1220.*, not to the "1220/,
    })
    assert.equal(await readFile(cachedFile(0), 'utf8'), 'shard X', 'wrong bytes took the name')
    assert.deepEqual(await files(), ['00000.bin', 'fetch-manifest.json'])
  })

  it('refuses an entry that lies about the length or the hash, and keeps none of its bytes', async () => {
    const entry = dataset.entry(0)
    for (const [lie, code] of [
      [{ bytes_len: 6 }, 'ERR_DATA_LENGTH_MISMATCH'],
      [{ bytes_len: 8 }, 'ERR_DATA_LENGTH_MISMATCH'],
      [{ content_hash: dataset.entry(1).content_hash }, 'ERR_DATA_HASH_MISMATCH'],
      [{ content_hash: entry.content_hash.toUpperCase() }, 'ERR_DATA_HASH_MISMATCH'],
    ] as const) {
      await rm(dataset.cacheRoot, { recursive: true, force: true })
      await dataset.publish([{ ...entry, ...lie }])
      await assert.rejects(dataset.fetch([0]), { code })
      assert.deepEqual(await files(), ['fetch-manifest.json'])
    }
  })

  it('refuses a claim beyond the largest shard before it fetches anything', async () => {
    await dataset.publish([{ ...dataset.entry(0), bytes_len: Number.MAX_SAFE_INTEGER }])
    await rm(join(dataset.source, '00000.bin'))
    await assert.rejects(dataset.fetch([0]), {
      code: 'ERR_DATA_TOO_LARGE',
      message: /9007199254740991 bytes, more than the limit of 4294967296; raise the limit/,
    })
    await dataset.publish(dataset.manifest.entries)
    await assert.rejects(dataset.fetch([1], { cache: dataset.cache({ maxShardBytes: 6 }) }), {
      code: 'ERR_DATA_TOO_LARGE',
    })
  })

  it('refuses a manifest beyond the largest size', async () => {
    const cache = dataset.cache({ maxManifestBytes: 100 })
    await assert.rejects(dataset.fetch([0], { cache }), { code: 'ERR_DATA_TOO_LARGE' })
  })

  it('refuses a lease with a microshard that the plan lacks, or twice, or of another view', async () => {
    const registration = dataset.registration({ Local: { root: dataset.source } })
    const fetch = (dataset_view_id: string, microshards: string[]) =>
      dataset
        .cache()
        .fetchLeaseMicroshards(registration, dataset.plan, { dataset_view_id, microshards })
    await assert.rejects(fetch('view-1', [dataset.id(0), 'shard\u0000x']), {
      code: 'ERR_DATA_UNKNOWN_LEASED_MICROSHARD',
      message: /"shard\\u0000x"/,
    })
    await assert.rejects(fetch('view-1', [dataset.id(0), dataset.id(0)]), {
      code: 'ERR_DATA_DUPLICATE_ENTRY',
    })
    await assert.rejects(fetch('view-2', [dataset.id(0)]), { code: 'ERR_DATA_PLAN_MISMATCH' })
  })

  it('refuses a lease whose manifest has no entry for a microshard, before it fetches others', async () => {
    await dataset.publish([dataset.entry(0), dataset.entry(1)])
    await assert.rejects(dataset.fetch([0, 2]), { code: 'ERR_DATA_MISSING_FETCH_ENTRY' })
    assert.deepEqual(await files(), ['fetch-manifest.json'])
  })

  it('refuses a plan with a microshard id or an ordinal twice', async () => {
    const [first, second] = dataset.plan.microshards
    for (const twin of [
      { ...second!, microshard_id: first!.microshard_id },
      { ...second!, ordinal: first!.ordinal },
    ]) {
      const plan = { ...dataset.plan, microshards: [first!, twin] }
      const registration = dataset.registration({ Local: { root: dataset.source } })
      const lease = { dataset_view_id: 'view-1', microshards: [first!.microshard_id] }
      await assert.rejects(dataset.cache().fetchLeaseMicroshards(registration, plan, lease), {
        code: 'ERR_DATA_DUPLICATE_ENTRY',
        message: /^The plan has the (microshard|ordinal) .* twice/,
      })
    }
  })

  it('uses a filled cache with an upstream of a kind that cannot be fetched from', async () => {
    const upstream = { S3: { bucket: 'b', prefix: 'p' } }
    await assert.rejects(dataset.fetch([0], { upstream }), {
      code: 'ERR_DATA_UNSUPPORTED_ADAPTER',
      message: /kind S3; use Local or Http/,
    })
    const cache = dataset.cache()
    await cache.storeFetchManifest(dataset.manifest)
    await writeFile(cachedFile(0), content(0))
    assert.equal((await dataset.fetch([0], { cache, upstream })).length, 1)
    await assert.rejects(dataset.fetch([1], { cache, upstream }), {
      code: 'ERR_DATA_UNSUPPORTED_ADAPTER',
    })
  })

  it('takes an upstream of the caller for kinds that it does not know', async () => {
    const cache = dataset.cache({
      openUpstream: (adapter) => {
        assert.deepEqual(adapter, { Private: { scheme: 'peer', locator: 'p1' } })
        return {
          readManifest: async () => ({
            bytes: await readFile(join(dataset.source, 'fetch-manifest.json')),
            validator: undefined,
          }),
          readShard: async function* ({ ordinal }) {
            yield* [content(ordinal).subarray(0, 3), content(ordinal).subarray(3)]
            await Promise.resolve()
          },
        }
      },
    })
    const upstream = { Private: { scheme: 'peer', locator: 'p1' } }
    assert.equal((await dataset.fetch([0, 1], { cache, upstream })).length, 2)
    assert.equal(await readFile(cachedFile(1), 'utf8'), 'shard 1')
  })

  it('lets two processes fill one cache at the same time', async () => {
    const both = await Promise.all([dataset.fetch([0, 1, 2]), dataset.fetch([2, 1, 0])])
    assert.deepEqual(both[0], [...both[1]].reverse())
    assert.equal((await files()).length, 4)
  })

  it('stops when its signal fires, and leaves no temporary file', async () => {
    const signal = AbortSignal.abort()
    await assert.rejects(dataset.fetch([0], { signal }), { code: 'ABORT_ERR' })
    const controller = new AbortController()
    const cache = dataset.cache({
      openUpstream: () => ({
        readManifest: async () => ({
          bytes: await readFile(join(dataset.source, 'fetch-manifest.json')),
          validator: undefined,
        }),
        readShard: async function* () {
          yield Buffer.from('sh')
          controller.abort()
          await Promise.resolve()
          yield Buffer.from('ard 0')
        },
      }),
    })
    await assert.rejects(dataset.fetch([0], { cache, signal: controller.signal }), {
      code: 'ABORT_ERR',
    })
    assert.deepEqual(await files(), ['fetch-manifest.json'])
  })

  it('streams a shard: memory stays flat however large it is', async () => {
    const bytes = Buffer.alloc(32 * 2 ** 20)
    await dataset.put('00000.bin', bytes)
    await dataset.publish([withContent(dataset.entry(0), bytes)])
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }, 1)
    try {
      await dataset.fetch([0])
      await dataset.fetch([0])
    } finally {
      clearInterval(timer)
    }
    assert(most > 0, 'nothing was sampled')
    assert(most < 8 * 2 ** 20, `${most} bytes of buffers`)
  })

  describe('when it evicts', () => {
    it('keeps the shards to keep, by ordinal, whatever their locators are', async () => {
      const entries = dataset.manifest.entries.map((entry) => ({
        ...entry,
        // The locator of each is the file name of another.
        locator: `0000${(entry.ordinal + 1) % 3}.bin`,
      }))
      for (const { ordinal, locator } of entries) await dataset.put(locator, content(ordinal))
      await dataset.publish(entries)
      const cache = dataset.cache()
      await dataset.fetch([0, 1, 2], { cache })
      assert.equal(await cache.evictExcept('view-1', [dataset.id(1), 'unknown']), 2)
      assert.deepEqual(await files(), ['00001.bin', 'fetch-manifest.json'])
      assert.equal(await readFile(cachedFile(1), 'utf8'), 'shard 1')
      assert.equal(await cache.evictExcept('view-1', []), 1)
      assert.deepEqual(await files(), ['fetch-manifest.json'])
    })

    it('deletes what crashes left, but neither files being written nor folders', async () => {
      await dataset.fetch([0])
      const [fresh, stale] = ['a', 'b'].map((letter) => `.torchbed-${letter.repeat(24)}.tmp`)
      const hourAgo = new Date(Date.now() - 2 * 3600_000)
      for (const name of [fresh!, stale!, '00001.bin.tmp']) {
        await writeFile(join(viewFolder(), name), 'x')
      }
      await utimes(join(viewFolder(), stale!), hourAgo, hourAgo)
      await mkdir(join(viewFolder(), 'folder'))
      assert.equal(await dataset.cache().evictExcept('view-1', [dataset.id(0)]), 2)
      assert.deepEqual(await files(), [fresh, '00000.bin', 'fetch-manifest.json', 'folder'])
    })

    it('does nothing without the view, and refuses without a manifest', async () => {
      const cache = dataset.cache()
      assert.equal(await cache.evictExcept('view-1', []), 0)
      await dataset.fetch([0])
      await rm(join(viewFolder(), 'fetch-manifest.json'))
      await assert.rejects(cache.evictExcept('view-1', []), {
        code: 'ERR_DATA_MISSING_FETCH_ENTRY',
        message: /no fetch manifest/,
      })
      assert.deepEqual(await files(), ['00000.bin'])
    })
  })
})
