/** A folder of shards as a dataset: described once, and held to that description afterwards. */
import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AbortError, ConfigError } from '../../lib/index.js'
import { contentId, PythonTorchDatasetConfig, ShardFetchManifest } from '../../lib/schema/index.js'
import { HashMismatchError, plan } from '../../lib/data/index.js'
import { SafetensorsError, SafetensorsHeaderError } from '../../lib/safetensors/index.js'
import { localDataset } from '../../lib/data/local-dataset.js'
import { shard, writeShards } from '../support/shards.js'
import { Run } from '../training/support.js'

const FILES = ['dataset.json', 'fetch-manifest.json'] as const

describe('a local dataset', () => {
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'torchbed-dataset-'))
    await writeShards(root, 12, 5)
  })
  afterEach(() => rm(root, { recursive: true, force: true }))

  const open = (changes: Partial<Parameters<typeof localDataset>[0]> = {}) =>
    localDataset({ root, datasetId: 'zeros', microshardsPerBatch: 2, ...changes })

  const refusal = (pattern: RegExp) => (error: Error) => {
    assert.ok(error instanceof ConfigError)
    assert.deepEqual(
      error.issues.map(({ path }) => path),
      ['dataset.root'],
    )
    assert.match(error.message, pattern)
    return true
  }

  it('has one microshard for each file, in the order of their names, hashed and counted', async () => {
    await rename(join(root, '00011.safetensors'), join(root, 'zzz.safetensors'))
    await writeFile(join(root, 'zzz.safetensors'), shard(7))
    await writeFile(join(root, 'notes.txt'), 'no shard')
    const config = await open()
    assert.deepEqual(config.sizing, {
      total_examples: 11 * 5 + 7,
      total_tokens: 0,
      total_bytes: 11 * shard(5).length + shard(7).length,
    })
    const { entries, dataset_view_id } = ShardFetchManifest.fromJson(
      await readFile(join(root, 'fetch-manifest.json')),
    )
    assert.equal(dataset_view_id, 'zeros-view')
    const { microshards } = await plan(config)
    assert.deepEqual(
      entries.map(({ microshard_id, ordinal }) => [microshard_id, ordinal]),
      microshards.map(({ microshard_id, ordinal }) => [microshard_id, ordinal]),
    )
    assert.deepEqual(
      entries.map(({ locator, content_hash, bytes_len }) => [locator, content_hash, bytes_len]),
      Array.from({ length: 12 }, (_, i) => {
        const bytes = i === 11 ? shard(7) : shard(5)
        const name = i === 11 ? 'zzz' : String(i).padStart(5, '0')
        return [`${name}.safetensors`, contentId(bytes), bytes.length]
      }),
    )
  })

  it('is written once as two files, and read back as it was', async () => {
    const config = await open()
    const before = await Promise.all(FILES.map((name) => stat(join(root, name))))
    assert.deepEqual(
      PythonTorchDatasetConfig.fromJson(await readFile(join(root, 'dataset.json'))),
      config,
    )
    assert.deepEqual(await open(), config)
    const after = await Promise.all(FILES.map((name) => stat(join(root, name))))
    assert.deepEqual(
      after.map(({ ino, mtimeMs }) => [ino, mtimeMs]),
      before.map(({ ino, mtimeMs }) => [ino, mtimeMs]),
    )
  })

  it('keeps its ids when the folder is elsewhere and batches are of another size', async () => {
    const config = await open()
    const elsewhere = `${root}-moved`
    await rename(root, elsewhere)
    root = elsewhere
    const moved = await open({ microshardsPerBatch: 3 })
    assert.deepEqual(moved, { ...config, root: elsewhere, microshards_per_batch: 3 })
    assert.deepEqual((await plan(moved)).microshards, (await plan(config)).microshards)
  })

  for (const name of FILES) {
    it(`is described anew, to the same bytes, when ${name} is gone`, async () => {
      await open()
      const before = await Promise.all(FILES.map((file) => readFile(join(root, file), 'utf8')))
      await rm(join(root, name))
      await open()
      const after = await Promise.all(FILES.map((file) => readFile(join(root, file), 'utf8')))
      assert.deepEqual(after, before)
    })

    it(`whose ${name} is damaged is refused with the file's name and the remedy`, async () => {
      await open()
      await writeFile(join(root, name), '{"')
      await assert.rejects(
        open(),
        refusal(new RegExp(`${name} is damaged: [^]*; remove dataset\\.json`)),
      )
    })
  }

  it('has another hash when a shard has other bytes or another name', async () => {
    const { manifest_hash } = await open()
    const hashes = new Set([manifest_hash])
    await writeFile(join(root, '00003.safetensors'), shard(6))
    await rm(join(root, 'dataset.json'))
    hashes.add((await open()).manifest_hash)
    await rename(join(root, '00000.safetensors'), join(root, '0.safetensors'))
    await rm(join(root, 'dataset.json'))
    hashes.add((await open()).manifest_hash)
    assert.equal(hashes.size, 3)
  })

  it('that lacks a shard, or has one more, is refused with the remedy', async () => {
    await open()
    const remedy = 'remove dataset\\.json and fetch-manifest\\.json'
    await writeFile(join(root, 'more.safetensors'), shard(5))
    await assert.rejects(open(), refusal(new RegExp(`holds 13 shards, .* lists 12; ${remedy}`)))
    await rm(join(root, '00004.safetensors'))
    await assert.rejects(
      open(),
      refusal(new RegExp(`00004\\.safetensors is not there, .* says \\d+ bytes; ${remedy}`)),
    )
  })

  it('with a shard of another length is refused with the remedy', async () => {
    await open()
    await appendFile(join(root, '00004.safetensors'), 'x')
    const length = shard(5).length
    await assert.rejects(
      open(),
      refusal(
        new RegExp(
          `00004\\.safetensors is ${length + 1} bytes long, .* says ${length} bytes; remove`,
        ),
      ),
    )
  })

  it('with a damaged shard is refused with its name', async () => {
    await writeFile(join(root, '00007.safetensors'), shard(5).subarray(0, -1))
    await assert.rejects(open(), (error) => {
      assert.ok(error instanceof SafetensorsHeaderError)
      assert.ok(error instanceof SafetensorsError)
      assert.equal(error.fault, 'data_length')
      assert.ok(error.path?.endsWith('00007.safetensors'))
      return true
    })
    await assert.rejects(stat(join(root, 'dataset.json')), /ENOENT/)
  })

  it('without shards, or without a folder, says what to run', async () => {
    await assert.rejects(
      open({ root: join(root, 'none') }),
      refusal(/none.*run the dataset's prepare script first/),
    )
    await rm(root, { recursive: true })
    await writeShards(root, 0, 5)
    await assert.rejects(open(), refusal(/no \.safetensors file in .*; run/))
  })

  it('can be aborted while it is measured', async () => {
    await assert.rejects(open({ signal: AbortSignal.abort() }), AbortError)
    await assert.rejects(stat(join(root, 'dataset.json')), /ENOENT/)
  })
})

describe('a shard that changed but kept its length', () => {
  it('is found by the peer that fetches it, and nothing is trained on it', async () => {
    await using run = await Run.make({ hooks: { train_window: 'fail("trained")' } })
    for (let i = 0; i < 8; i++) {
      const path = join(run.shards, `${String(i).padStart(5, '0')}.safetensors`)
      const bytes = await readFile(path)
      bytes[bytes.length - 1] = 1
      await writeFile(path, bytes)
    }
    await assert.rejects(run.train(1), HashMismatchError)
    assert.equal((await run.canonical()).global_step, 0)
    assert.equal(await run.models(), 0n)
  })
})
