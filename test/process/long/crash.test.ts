/** A cut of the crash runs that `npm run test:long` makes, and the means by which it judges. */
import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FsArtifactStore } from '../../../lib/store/index.js'
import { CacheTarget } from '../../long/crash/cache.js'
import { promisesOf, readReports } from '../../long/crash/promises.js'
import { killsOf, runCrash, type CrashTargetName } from '../../long/crash/run.js'
import { StoreTarget } from '../../long/crash/store.js'
import type { CrashTarget } from '../../long/crash/target.js'

const linux = process.platform === 'linux' ? describe : describe.skip

/** Others in each run. */
const FIRST_SEED = Math.floor(Math.random() * 1_000_000)

linux('a crash', () => {
  for (const [target, what] of [
    ['store', 'an artifact store'],
    ['cache', 'a shard cache'],
  ] as const) {
    it(`of processes that write ${what} costs nothing that was reported, and leaves nothing that is corrupt`, async () => {
      let promised = 0
      for (let seed = FIRST_SEED; seed < FIRST_SEED + 4; seed++) {
        const result = await runCrash(target, seed)
        promised += result.promised
        assert.deepEqual(result.problems, [], result.story)
      }
      assert.ok(promised > 5, `only ${promised} reports came before the kills`)
    })
  }

  it('comes by time and by call, and to two writers in a third of the runs', () => {
    const runs = Array.from({ length: 300 }, (_, seed) => killsOf('store', seed))
    assert.equal(runs.filter(({ length }) => length === 2).length, 100)
    const ways = runs.flat().map(({ by }) => by)
    for (const way of ['time', 'other', 'nobody'] as const) assert.ok(ways.includes(way), way)
  })
})

describe('the promises before a crash', () => {
  it('are the last value that was done, and all that were begun since', () => {
    const text = [
      '{"type":"ready"}',
      '{"type":"begin","name":"a","value":1}',
      '{"type":"done","name":"a","value":1}',
      '{"type":"begin","name":"a","value":2}',
      '{"type":"begin","name":"b","value":3}',
      '{"type":"done","name":"a","val',
    ].join('\n')
    assert.deepEqual(promisesOf(readReports(text)), { a: [1, 2], b: [null, 3] })
  })

  it('refuse a value that was done and never begun, as a kill before the report would look like a fault', () => {
    const reports = [
      { type: 'done', name: 'a', value: 1 },
      { type: 'done', name: 'a', value: null },
    ] as const
    assert.throws(() => promisesOf(reports), /^Error: a became null, which nobody had begun$/)
  })
})

describe('the judge of what a crash has left', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-crash-judge-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const settings = { seed: 1, writer: 0, writers: 1 }
  async function judge(target: CrashTarget, promises = {}): Promise<string> {
    const problems: string[] = []
    try {
      for await (const problem of target.check(promises)) problems.push(problem)
    } catch (error) {
      problems.push(String(error))
    }
    return problems.join('\n')
  }

  async function made(name: CrashTargetName): Promise<CrashTarget> {
    const target =
      name === 'store' ? new StoreTarget(folder, settings) : new CacheTarget(folder, settings)
    await target.prepare()
    return target
  }

  it('finds nothing wrong with an intact store', async () => {
    assert.equal(await judge(await made('store')), '')
    assert.equal(await judge(await made('cache')), '')
  })

  it('sees a promised artifact, pin, head, receipt and file that is not there', async () => {
    const promises = { 'artifact a': ['hash'], 'pin a': ['pinned'], 'head pin h': ['pinned'] }
    const others = { 'head h': [3], 'receipt r': [4], 'file f': ['hash'], 'loose l': ['hash'] }
    const found = await judge(await made('store'), { ...promises, ...others })
    for (const name of Object.keys({ ...promises, ...others })) {
      assert.match(found, new RegExp(`^${name} is null, not `, 'm'))
    }
  })

  it('sees a torn chunk, a torn manifest and a pin that should be gone', async () => {
    const target = await made('store')
    const store = new FsArtifactStore(join(folder, 'store'))
    const spec = { kind: 'FullHead', precision: 'Fp32' } as const
    const rest = { model_schema_hash: 'schema', record_format: 'bytes' }
    const bytes = Buffer.from('some bytes')
    const { artifact_id, chunks } = await store.storeArtifactBytes(
      { ...spec, ...rest },
      bytes,
      undefined,
      { pin: true },
    )
    await store.pinHead('h')
    await truncate(store.chunkPath(chunks[0]!.chunk_id), 3)
    const found = await judge(target, { 'head pin h': [null] })
    assert.match(found, new RegExp(`^artifact ${artifact_id} is listed, but not complete$`, 'm'))
    assert.match(found, /^chunk 1220\w+\.chunk has the bytes of 1220/m)
    assert.match(found, /^head pin h is pinned, not $/m)
    await truncate(store.manifestPath(artifact_id), 30)
    assert.match(await judge(target), /^InvalidRecordError: Cannot use the record in /m)
  })

  it('sees a shard that is lost, one with wrong bytes, and a lost manifest', async () => {
    const target = await made('cache')
    await judge(target)
    const [view = ''] = await readdir(join(folder, 'cache'))
    const path = (name: string) => join(folder, 'cache', view, name)
    await appendFile(path('00003.bin'), 'x')
    await rm(path('00004.bin'))
    const found = await judge(target, { 'shard 3': ['cached'] })
    assert.match(found, /^the file 00003\.bin has wrong bytes$/m)
    assert.doesNotMatch(found, /lost/, 'nobody had promised the other one')
    const lost = await judge(target, { 'shard 4': ['cached'] })
    assert.match(lost, /^shard 4 is lost$/m)
    await rm(path('fetch-manifest.json'))
    assert.match(await judge(target, { manifest: ['stored'] }), /^the manifest is lost$/m)
  })
})
