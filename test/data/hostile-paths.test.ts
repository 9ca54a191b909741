import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import fc from 'fast-check'

import { checkLocator, ShardCache } from '../../lib/data/index.js'
import { resolveUrl } from '../../lib/data/locator.js'
import { content, Dataset } from './support/dataset.js'
import { runs } from '../support/runs.js'

const unsafe = { code: 'ERR_DATA_UNSAFE_LOCATOR' }

const hostileLocators = [
  '',
  '.',
  '..',
  '../outside',
  'a/../../outside',
  'a/..',
  './a',
  'a//b',
  'a/',
  '/etc/passwd',
  '//host/share',
  'C:/windows',
  'file:stream',
  '..\\outside',
  'a\\b',
  'nul\u0000.bin',
  'line\nbreak',
  '\u007f',
  '\u0085',
  'x'.repeat(5000),
]

describe('paths from a peer', () => {
  let dataset: Dataset
  let outside = ''
  beforeEach(async () => {
    dataset = await Dataset.make()
    outside = join(dataset.folder, 'outside')
    await writeFile(outside, content(0))
  })
  afterEach(() => dataset.remove())

  for (const locator of hostileLocators) {
    const shown = JSON.stringify(locator.slice(0, 30))
    it(`are refused in a manifest: the locator ${shown}`, async () => {
      await dataset.publish([{ ...dataset.entry(0), locator }])
      await assert.rejects(dataset.fetch([0]), {
        ...unsafe,
        message: /must be relative paths such as/,
      })
      const manifest = { ...dataset.manifest, entries: [{ ...dataset.entry(0), locator }] }
      await assert.rejects(dataset.cache().storeFetchManifest(manifest), unsafe)
      assert.deepEqual(await readdir(join(dataset.cacheRoot, 'view-1')), [])
    })
  }

  it('are taken when they are plain, in sub-folders and in any language', async () => {
    const locators = ['a/b/c.bin', '…/zażółć 1.bin', '%2e%2e']
    for (const [ordinal, locator] of locators.entries()) {
      checkLocator(locator)
      await dataset.put(locator, content(ordinal))
    }
    await dataset.publish(
      dataset.manifest.entries.map((entry, index) => ({ ...entry, locator: locators[index]! })),
    )
    assert.equal((await dataset.fetch([0, 1, 2])).length, 3)
  })

  for (const viewId of ['../outside-view', '..', '/etc', 'a/b', 'a\\b', 'nul\u0000', '']) {
    it(`do not leave the cache: the view ${JSON.stringify(viewId)}`, async () => {
      const other = await Dataset.make(1, viewId)
      try {
        const [cached] = await other.fetch([0])
        assert.equal(await readFile(cached!.path, 'utf8'), 'shard 0')
        const [folder, ...more] = await readdir(other.cacheRoot)
        assert.match(folder!, /^__burn_p2p_id_[0-9a-f]{64}$/)
        assert.deepEqual(more, [])
        assert.equal(cached!.path, join(other.cacheRoot, folder!, '00000.bin'))
        assert.deepEqual((await readdir(other.folder)).sort(), ['cache', 'source'])
      } finally {
        await other.remove()
      }
    })
  }

  it('never lead out of the cache, whatever the view is called', () => {
    const cache = new ShardCache('/cache')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (viewId) => {
        assert.match(cache.shardPath(viewId, 0), /^\/cache\/[A-Za-z0-9._-]+\/00000\.bin$/)
        assert(!cache.datasetDir(viewId).endsWith('/..'))
      }),
      { numRuns: runs(100) },
    )
  })

  it('do not follow a link out of the upstream root', async () => {
    await rm(join(dataset.source, '00000.bin'))
    await symlink(outside, join(dataset.source, '00000.bin'))
    await assert.rejects(dataset.fetch([0]), { ...unsafe, message: /leads out of .*source/ })
    await mkdir(join(dataset.folder, 'folder'))
    await writeFile(join(dataset.folder, 'folder', '1'), content(1))
    await symlink(join(dataset.folder, 'folder'), join(dataset.source, 'link'))
    await dataset.publish([{ ...dataset.entry(1), locator: 'link/1' }])
    await assert.rejects(dataset.fetch([1]), unsafe)
  })

  it('may follow a link within the upstream root, or the root itself', async () => {
    await rm(join(dataset.source, '00000.bin'))
    await dataset.put('real/0', content(0))
    await symlink('real/0', join(dataset.source, '00000.bin'))
    await symlink(dataset.source, join(dataset.folder, 'root-link'))
    const upstream = { Local: { root: join(dataset.folder, 'root-link') } }
    assert.equal((await dataset.fetch([0], { upstream })).length, 1)
  })

  it('do not follow a link in place of a cached shard: it is replaced, its target is left alone', async () => {
    await dataset.fetch([0, 1])
    const path = dataset.cache().shardPath('view-1', 0)
    await rm(path)
    await symlink(outside, path)
    await writeFile(outside, 'precious')
    await dataset.fetch([0])
    assert.equal(await readFile(path, 'utf8'), 'shard 0')
    assert.equal(await readFile(outside, 'utf8'), 'precious')
  })

  it('do not follow a link in place of the cached manifest', async () => {
    await dataset.fetch([0])
    const cache = dataset.cache()
    const path = cache.manifestPath('view-1')
    await rm(path)
    await writeFile(outside, 'precious')
    await symlink(outside, path)
    await assert.rejects(cache.loadFetchManifest('view-1'), unsafe)
    await dataset.fetch([0], { cache })
    assert.deepEqual(await cache.loadFetchManifest('view-1'), dataset.manifest)
    assert.equal(await readFile(outside, 'utf8'), 'precious')
  })

  it('do not follow a link in place of the folder of a view', async () => {
    const elsewhere = join(dataset.folder, 'elsewhere')
    await mkdir(elsewhere)
    await writeFile(join(elsewhere, 'precious'), 'x')
    await mkdir(dataset.cacheRoot)
    await symlink(elsewhere, join(dataset.cacheRoot, 'view-1'))
    await assert.rejects(dataset.fetch([0]), unsafe)
    await assert.rejects(dataset.cache().storeFetchManifest(dataset.manifest), unsafe)
    await assert.rejects(dataset.cache().evictExcept('view-1', []), unsafe)
    assert.deepEqual(await readdir(elsewhere), ['precious'])
  })

  it('do not wait indefinitely at a pipe', async function () {
    if (process.platform === 'win32') this.skip()
    const pipe = join(dataset.source, '00000.bin')
    await rm(pipe)
    execFileSync('mkfifo', [pipe])
    await assert.rejects(dataset.fetch([0]), { ...unsafe, message: /not a regular file/ })
  })

  it('do not leave the base of a URL, by escapes either', () => {
    const base = new URL('http://host/data/set/')
    assert.equal(resolveUrl(base, 'a/b c.bin').href, 'http://host/data/set/a/b%20c.bin')
    assert.equal(resolveUrl(base, 'a.bin?key=1').href, 'http://host/data/set/a.bin?key=1')
    for (const locator of [...hostileLocators, '%2e%2e/x', '.%2E/x', 'a/%2e%2e/%2e%2e/x']) {
      assert.throws(() => resolveUrl(base, locator), unsafe, locator)
    }
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('a', '.', '/', '%2e', '%2f', '\\', '@', ':', '?', '#', '\t')),
        (parts) => {
          let url: URL
          try {
            url = resolveUrl(base, parts.join(''))
          } catch (error) {
            assert.equal((error as { code?: string }).code, unsafe.code)
            return
          }
          assert.equal(url.host, 'host')
          assert(url.pathname.startsWith('/data/set/'))
        },
      ),
      { numRuns: runs(1000) },
    )
  })
})
