import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { readFile, readdir, rm, writeFile } from 'node:fs/promises'

import { openUpstream, type DataHttpError } from '../../lib/data/index.js'
import { ShardFetchManifest } from '../../lib/schema/index.js'
import { Dataset, WebServer, withContent, type Handler } from './support/dataset.js'

const SHARD = '/data/00000.bin'
const MANIFEST = '/data/fetch-manifest.json'

describe('an upstream over HTTP', () => {
  let dataset: Dataset
  let server: WebServer
  beforeEach(async () => {
    dataset = await Dataset.make()
    server = new WebServer()
    await server.listen()
    server.serveDataset(dataset)
  })
  afterEach(async () => {
    server.close()
    await dataset.remove()
  })

  const fetch = (cache = dataset.cache(), signal?: AbortSignal) =>
    dataset.fetch([0], { cache, upstream: server.upstream, ...(signal && { signal }) })
  const files = () => readdir(dataset.cache().datasetDir('view-1'))
  const shardRequests = () => server.requests.filter((path) => path === SHARD).length

  it('gives manifest and shards', async () => {
    const [cached] = await fetch()
    assert.equal(await readFile(cached!.path, 'utf8'), 'shard 0')
    assert.deepEqual(server.requests, [MANIFEST, SHARD])
    await fetch()
    assert.deepEqual(server.requests, [MANIFEST, SHARD, MANIFEST], 'a cached shard is not fetched')
  })

  it('is asked for several shards of a lease at a time, up to the limit', async () => {
    let open = 0
    let most = 0
    for (const entry of dataset.manifest.entries) {
      server.handlers.set(`/data/${entry.locator}`, (_request, response) => {
        most = Math.max(most, ++open)
        setTimeout(() => {
          open--
          response.end(`shard ${entry.ordinal}`)
        }, 50)
      })
    }
    const cache = dataset.cache({ fetchConcurrency: 2 })
    const cached = await dataset.fetch([0, 1, 2], { cache, upstream: server.upstream })
    assert.equal(most, 2)
    assert.deepEqual(
      cached.map(({ microshard }) => microshard.ordinal),
      [0, 1, 2],
    )
  })

  it('is an error that names status and URL when a file is missing', async () => {
    server.handlers.delete(SHARD)
    await assert.rejects(fetch(), (error: DataHttpError) => {
      assert.equal(error.code, 'ERR_DATA_HTTP')
      assert.equal(error.status, 404)
      assert.equal(error.url, server.origin + SHARD)
      return true
    })
    server.handlers.delete(MANIFEST)
    const other = await Dataset.make()
    await assert.rejects(other.fetch([0], { upstream: server.upstream }), { status: 404 })
    await other.remove()
    assert.deepEqual(await files(), ['fetch-manifest.json'])
  })

  it('is an error when the server does not listen', async () => {
    const { upstream } = server
    server.close()
    await assert.rejects(dataset.fetch([0], { upstream }), {
      code: 'ERR_DATA_HTTP',
      message: /fetch-manifest\.json failed: .*ECONNREFUSED/,
    })
  })

  const wrongBodies: [string, Handler, string][] = [
    ['short and says so', (_, response) => response.end('shard'), 'ERR_DATA_LENGTH_MISMATCH'],
    ['long and says so', (_, response) => response.end('shard 00'), 'ERR_DATA_LENGTH_MISMATCH'],
    [
      'short and does not say so',
      (_, response) => {
        response.write('sha')
        response.end('rd')
      },
      'ERR_DATA_LENGTH_MISMATCH',
    ],
    [
      'long and does not say so',
      (_, response) => {
        response.write('shard 0')
        response.end('0')
      },
      'ERR_DATA_LENGTH_MISMATCH',
    ],
    [
      'endless',
      (_, response) => {
        const more = () => {
          while (!response.destroyed && response.write('x'.repeat(65_536)));
        }
        response.on('drain', more)
        more()
      },
      'ERR_DATA_LENGTH_MISMATCH',
    ],
    [
      'cut off',
      (_, response) => {
        response.writeHead(200, { 'content-length': '7' })
        response.write('sha')
        setTimeout(() => response.destroy(), 20)
      },
      'ERR_DATA_HTTP',
    ],
    ['wrong', (_, response) => response.end('SHARD 0'), 'ERR_DATA_HASH_MISMATCH'],
  ]
  for (const [what, handler, code] of wrongBodies) {
    it(`leaves nothing in the cache when a body is ${what}`, async () => {
      server.handlers.set(SHARD, handler)
      await assert.rejects(fetch(), { code })
      assert.deepEqual(await files(), ['fetch-manifest.json'])
      assert.equal(shardRequests(), code === 'ERR_DATA_HTTP' ? 1 : 2)
    })
  }

  it('is asked once more when the first body is wrong', async () => {
    server.handlers.set(SHARD, (_request, response) => {
      response.end(shardRequests() === 1 ? 'SHARD 0' : 'shard 0')
    })
    const [cached] = await fetch()
    assert.equal(await readFile(cached!.path, 'utf8'), 'shard 0')
    assert.equal(shardRequests(), 2)
  })

  it('is asked only once for a cached shard that is corrupt', async () => {
    const [cached] = await fetch()
    await writeFile(cached!.path, 'SHARD X')
    server.handlers.set(SHARD, (_request, response) => response.end('SHARD 0'))
    server.requests.length = 0
    await assert.rejects(fetch(), { code: 'ERR_DATA_HASH_MISMATCH' })
    assert.equal(shardRequests(), 1)
  })

  it('can be left in the middle of a slow body', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const left = new Promise<void>((resolve) => {
      server.handlers.set(SHARD, (_request, response) => {
        response.on('close', resolve)
        response.write('sha')
        setTimeout(() => controller.abort(reason), 20)
      })
    })
    await assert.rejects(fetch(undefined, controller.signal), { code: 'ABORT_ERR', cause: reason })
    await left
    assert.deepEqual(await files(), ['fetch-manifest.json'])
  })

  it('is given up when it is silent for too long, before the answer or in the middle', async () => {
    const cache = dataset.cache({ httpTimeouts: { idleMs: 100 } })
    const silent: Handler[] = [() => undefined, (_request, response) => response.write('sha')]
    for (const handler of silent) {
      server.handlers.set(SHARD, handler)
      await assert.rejects(fetch(cache), {
        code: 'ERR_DATA_HTTP',
        message: /00000\.bin sent nothing for 100 ms/,
      })
    }
  })

  it('is given up when it drips for too long', async () => {
    const cache = dataset.cache({ httpTimeouts: { idleMs: 10_000, totalMs: 300 } })
    const drip = Buffer.alloc(1000)
    server.serveDataset(dataset, [withContent(dataset.entry(0), drip)])
    server.handlers.set(SHARD, (_request, response) => {
      const timer = setInterval(() => response.write('x'), 20)
      response.on('close', () => clearInterval(timer))
    })
    await assert.rejects(fetch(cache), { code: 'ERR_DATA_HTTP', message: /longer than 300 ms/ })
  })

  const redirect =
    (location: string): Handler =>
    (_request, response) =>
      response.writeHead(302, { location }).end()

  it('may redirect within its scheme', async () => {
    server.handlers.set(SHARD, redirect('/elsewhere'))
    server.serve('/elsewhere', 'shard 0')
    assert.equal((await fetch()).length, 1)
  })

  it('may not redirect to another scheme, nor endlessly', async () => {
    for (const location of ['file:///etc/passwd', 'https://127.0.0.1/x', 'data:,x', 'http://']) {
      server.handlers.set(SHARD, redirect(location))
      await assert.rejects(fetch(), {
        code: 'ERR_DATA_HTTP',
        status: 302,
        message: /only redirects within one scheme are followed/,
      })
    }
    server.requests.length = 0
    server.handlers.set(SHARD, redirect(SHARD))
    await assert.rejects(fetch(), { code: 'ERR_DATA_HTTP', message: /more than 5 times/ })
    assert.equal(shardRequests(), 6)
  })

  it('may not send a manifest beyond the largest size, whether it says so or not', async () => {
    const cache = dataset.cache({ maxManifestBytes: 5000 })
    let sent = 0
    server.handlers.set(MANIFEST, (_request, response) => {
      response.writeHead(200, { 'content-length': '1000000000' })
      response.write('{')
    })
    await assert.rejects(fetch(cache), { code: 'ERR_DATA_TOO_LARGE', message: /1000000000 bytes/ })
    server.handlers.set(MANIFEST, (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(65_536))) sent += 65_536
      }
      response.on('drain', more)
      more()
    })
    await assert.rejects(fetch(cache), { code: 'ERR_DATA_TOO_LARGE' })
    assert(sent < 64 * 2 ** 20)
  })

  it('need not send a manifest again that has not changed', async () => {
    let etag = '"one"'
    const answers: number[] = []
    const serve = (entries = dataset.manifest.entries) => {
      server.handlers.set(MANIFEST, (request, response) => {
        const known = request.headers['if-none-match'] === etag
        answers.push(known ? 304 : 200)
        response.writeHead(known ? 304 : 200, { etag })
        response.end(
          known ? undefined : ShardFetchManifest.toJson({ ...dataset.manifest, entries }),
        )
      })
    }
    serve([dataset.entry(0)])
    const cache = dataset.cache()
    await fetch(cache)
    await fetch(cache)
    assert.deepEqual(answers, [200, 304])
    etag = '"two"'
    serve()
    await dataset.fetch([0, 1], { cache, upstream: server.upstream })
    await fetch(cache)
    assert.deepEqual(answers, [200, 304, 200, 304])
    await fetch(dataset.cache())
    assert.deepEqual(answers.slice(4), [200], 'another process knows no tag')
    await rm(cache.datasetDir('view-1'), { recursive: true })
    await fetch(cache)
    assert.deepEqual(answers.slice(5), [200], 'the tag was of a manifest that is gone')
  })

  it('is not shown the tag of another upstream', async () => {
    const serve = (path: string, entries = dataset.manifest.entries) => {
      server.handlers.set(path, (request, response) => {
        response.setHeader('etag', '"same"')
        if (request.headers['if-none-match'] === '"same"') response.writeHead(304).end()
        else response.end(ShardFetchManifest.toJson({ ...dataset.manifest, entries }))
      })
    }
    serve(MANIFEST, [dataset.entry(0)])
    serve('/other/fetch-manifest.json')
    server.serve('/other/00001.bin', 'shard 1')
    const cache = dataset.cache()
    await fetch(cache)
    const upstream = { Http: { base_url: `${server.origin}/other` } }
    assert.equal((await dataset.fetch([1], { cache, upstream })).length, 1)
  })

  it('does not replace the cached one when it answers with something else', async () => {
    const cache = dataset.cache()
    await fetch(cache)
    server.serve(MANIFEST, '<html>Please log in</html>')
    await assert.rejects(fetch(cache), { code: 'ERR_DATA_SCHEMA', message: /127\.0\.0\.1/ })
    server.handlers.set(MANIFEST, (_request, response) => response.writeHead(503).end())
    assert.equal((await fetch(cache)).length, 1, 'a server in trouble is one that is not there')
  })

  it('trims slashes off its base URL, and needs one that can have files', async () => {
    const upstream = { Http: { base_url: `${server.origin}/data//` } }
    assert.equal((await dataset.fetch([0], { upstream })).length, 1)
    for (const base_url of [
      'data',
      'file:///data',
      'ftp://host/data',
      'http://host/data?x=1',
      'http://host/data#x',
      'http://user:pw@host/data',
    ]) {
      assert.throws(() => openUpstream({ Http: { base_url } }), {
        code: 'ERR_DATA_UNSUPPORTED_ADAPTER',
        message: /base_url "/,
      })
    }
  })

  it('leaves no listener on the signal of its caller', async () => {
    const { signal } = new AbortController()
    await fetch(undefined, signal)
    assert.deepEqual(getEventListeners(signal, 'abort'), [])
  })
})
