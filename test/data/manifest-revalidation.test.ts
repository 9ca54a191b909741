import assert from 'node:assert/strict'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { content, Dataset, withContent } from './support/dataset.js'

describe('the manifest in a cache', () => {
  let dataset: Dataset
  beforeEach(async () => {
    dataset = await Dataset.make()
  })
  afterEach(() => dataset.remove())

  const stored = async () =>
    (await dataset.cache().loadFetchManifest('view-1'))?.entries.map(({ locator }) => locator)

  it('takes over entries that the upstream added', async () => {
    await dataset.publish([dataset.entry(0)])
    const cache = dataset.cache()
    await dataset.fetch([0], { cache })
    await dataset.publish([dataset.entry(0), dataset.entry(1)])
    assert.equal((await dataset.fetch([0, 1], { cache })).length, 2)
    assert.deepEqual(await stored(), ['00000.bin', '00001.bin'])
  })

  it('takes over that a file moved', async () => {
    const cache = dataset.cache()
    await dataset.fetch([0], { cache })
    await rm(join(dataset.source, '00001.bin'))
    await dataset.put('moved/1', content(1))
    await dataset.publish([dataset.entry(0), { ...dataset.entry(1), locator: 'moved/1' }])
    assert.equal((await dataset.fetch([1], { cache })).length, 1)
    assert.deepEqual(await stored(), ['00000.bin', 'moved/1', '00002.bin'])
  })

  it('keeps entries that the upstream no longer lists, and their cached shards', async () => {
    await dataset.publish([dataset.entry(0), dataset.entry(1)])
    const cache = dataset.cache()
    await dataset.fetch([0, 1], { cache })
    await dataset.publish([dataset.entry(0)])
    assert.equal((await dataset.fetch([0, 1], { cache })).length, 2)
    assert.deepEqual(await stored(), ['00000.bin', '00001.bin'])
    await dataset.publish([dataset.entry(2)])
    assert.equal((await dataset.fetch([0, 2], { cache })).length, 2)
    assert.deepEqual(await stored(), ['00002.bin', '00000.bin', '00001.bin'])
  })

  it('is not replaced by one that gives other contents for a shard that is here', async () => {
    const publishOther = async () => {
      await dataset.put('00001.bin', 'other')
      const other = withContent(dataset.entry(1), Buffer.from('other'))
      await dataset.publish([dataset.entry(0), other])
    }
    const refusal = {
      code: 'ERR_DATA_MANIFEST_CHANGED',
      message: new RegExp(`1 microshards .* "view-1", such as "${dataset.id(1)}"; publish`),
    }
    const cache = dataset.cache()
    await dataset.fetch([0, 1], { cache })
    await publishOther()
    await assert.rejects(dataset.fetch([0], { cache }), refusal)
    await assert.rejects(dataset.fetch([0]), refusal, 'another process sees it too')
    // Nor in two steps: gone first, then back with other contents.
    await dataset.publish([dataset.entry(0)])
    await dataset.fetch([0, 1], { cache })
    await publishOther()
    await assert.rejects(dataset.fetch([0], { cache }), refusal)
    assert.deepEqual(await cache.loadFetchManifest('view-1'), dataset.manifest)
  })

  it('is replaced by one that corrects an entry whose shard was never fetched', async () => {
    await dataset.publish([
      dataset.entry(0),
      { ...dataset.entry(1), content_hash: dataset.entry(0).content_hash },
    ])
    const cache = dataset.cache()
    await dataset.fetch([0], { cache })
    await assert.rejects(dataset.fetch([1], { cache }), { code: 'ERR_DATA_HASH_MISMATCH' })
    await dataset.publish(dataset.manifest.entries)
    assert.equal((await dataset.fetch([0, 1], { cache })).length, 2)
  })

  it('is replaced after all when the folder of the view was deleted', async () => {
    const cache = dataset.cache()
    await dataset.fetch([0, 1], { cache })
    await dataset.put('00001.bin', 'other')
    await dataset.publish([dataset.entry(0), withContent(dataset.entry(1), Buffer.from('other'))])
    await rm(cache.datasetDir('view-1'), { recursive: true })
    const [cached] = await dataset.fetch([1], { cache })
    assert.equal(await readFile(cached!.path, 'utf8'), 'other')
  })

  it('is used without asking when the cache is configured so', async () => {
    const cache = dataset.cache({ manifest: 'cached' })
    await dataset.publish([dataset.entry(0)])
    await dataset.fetch([0], { cache })
    await dataset.publish(dataset.manifest.entries)
    await assert.rejects(dataset.fetch([1], { cache }), { code: 'ERR_DATA_MISSING_FETCH_ENTRY' })
  })

  it('is fetched anew when it is damaged', async () => {
    const cache = dataset.cache()
    await dataset.fetch([0], { cache })
    for (const damage of [
      '',
      '{"dataset_view_id":"view-1"}',
      JSON.stringify({ ...dataset.manifest, entries: [dataset.entry(0), dataset.entry(0)] }),
      JSON.stringify({
        ...dataset.manifest,
        entries: [{ ...dataset.entry(0), locator: '../x' }],
      }),
    ]) {
      await writeFile(cache.manifestPath('view-1'), damage)
      await assert.rejects(cache.loadFetchManifest('view-1'), { code: /^ERR_DATA_/ })
      assert.equal((await dataset.fetch([0, 1], { cache })).length, 2)
      assert.deepEqual(await dataset.cache().loadFetchManifest('view-1'), dataset.manifest)
    }
  })

  it('is refused when it is of another view', async () => {
    await dataset.publish(dataset.manifest.entries, 'view-2')
    await assert.rejects(dataset.fetch([0]), {
      code: 'ERR_DATA_PLAN_MISMATCH',
      message: /is of the view "view-2", the plan of "view-1"/,
    })
  })

  it('is refused when it has a microshard that the plan lacks, or another ordinal for one', async () => {
    const [first, second] = [dataset.entry(0), dataset.entry(1)]
    await dataset.publish([first, { ...second, microshard_id: 'unplanned' }])
    await assert.rejects(dataset.fetch([0]), {
      code: 'ERR_DATA_PLAN_MISMATCH',
      message: /"unplanned" at ordinal 1, the plan does not have it/,
    })
    await dataset.publish([first, { ...second, ordinal: 7 }])
    await assert.rejects(dataset.fetch([0]), {
      code: 'ERR_DATA_PLAN_MISMATCH',
      message: /at ordinal 7, the plan has it at 1/,
    })
  })

  it('is refused when it has a microshard or an ordinal twice', async () => {
    const [first, second] = [dataset.entry(0), dataset.entry(1)]
    for (const twin of [
      { ...second, microshard_id: first.microshard_id },
      { ...second, ordinal: first.ordinal },
    ]) {
      await dataset.publish([first, twin])
      await assert.rejects(dataset.fetch([0]), { code: 'ERR_DATA_DUPLICATE_ENTRY' })
    }
    const manifest = { ...dataset.manifest, entries: [first, first] }
    await assert.rejects(dataset.cache().storeFetchManifest(manifest), {
      code: 'ERR_DATA_DUPLICATE_ENTRY',
    })
  })

  it('is checked against the plan when it stands alone, too', async () => {
    const cache = dataset.cache({ manifest: 'cached' })
    const [first, second] = [dataset.entry(0), dataset.entry(1)]
    await cache.storeFetchManifest({
      ...dataset.manifest,
      entries: [
        { ...first, ordinal: second.ordinal },
        { ...second, ordinal: first.ordinal },
      ],
    })
    const mismatch = { code: 'ERR_DATA_PLAN_MISMATCH' }
    await assert.rejects(dataset.fetch([0], { cache }), mismatch)
    await rm(dataset.source, { recursive: true })
    await assert.rejects(dataset.fetch([0]), mismatch)
  })
})
