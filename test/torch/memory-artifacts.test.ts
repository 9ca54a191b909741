/** Artifacts and shards that go through lent memory instead of files. */
import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BuffersRetainedError } from '../../lib/errors.js'
import { chunkingScheme, FsArtifactStore } from '../../lib/store/index.js'
import { ModelArtifacts } from '../../lib/project/model-artifacts.js'
import { ModelHandle } from '../../lib/project/model-handle.js'
import {
  EmbeddedRuntime,
  HookRaisedError,
  LentBuffer,
  TorchProject,
  type MemoryBatch,
  type TorchProjectOptions,
} from '../../lib/index.js'
import { parseSafetensorsHeader } from '../../lib/safetensors/index.js'
import { shard } from '../support/shards.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

const open = (
  workload_config: object,
  factory = 'exchanging:create_workload',
  options: TorchProjectOptions = {},
) =>
  TorchProject.open(
    {
      runtime: {
        workload_factory: factory,
        module_search_roots: [workloadRoot],
        workload_config: { ...workload_config },
      },
      model_schema_hash: 'linear',
    },
    options,
  )

const artifact = { kind: 'FullHead', head_id: 'head-1' } as const

describe('artifacts in memory', () => {
  let folder: string
  let store: FsArtifactStore
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
    store = new FsArtifactStore(folder)
  })
  afterEach(() => rm(folder, { recursive: true }))

  const temporaryFolders = async () =>
    (await readdir(tmpdir())).filter((name) => name.startsWith('torchbed-artifact-')).length

  ;(withTorch ? describe : describe.skip)('of a workload that exchanges tensors', () => {
    it('go to the store and back, without a temporary file', async () => {
      await using project = await open({ width: 200_000 })
      await using model = await project.initModel()
      await using other = await project.initModel()
      const before = await temporaryFolders()
      const descriptor = await project.materializeModelArtifact(model, artifact, store)
      assert.equal(await temporaryFolders(), before)
      const bytes = await store.materializeArtifactBytes(descriptor)
      const { tensors } = parseSafetensorsHeader(bytes, bytes.byteLength)
      assert.deepEqual(
        tensors.map(({ name, shape }) => [name, shape]),
        [
          ['bias', [3]],
          ['weight', [3, 200_000]],
        ],
      )
      await project.loadModelArtifact(other, descriptor, store)
      const checksum = async (handle: typeof model) =>
        (await project.evaluate(handle, 'Test')).metrics.checksum
      assert.equal(await checksum(other), await checksum(model))
    })

    it('go through a file when they are longer than an array may be, as the same artifact', async () => {
      await using runtime = await EmbeddedRuntime.start({})
      await using session = await runtime.openWorkload({
        factory: 'exchanging:create_workload',
        moduleSearchRoots: [workloadRoot],
        config: { width: 500 },
        env: {},
      })
      const init = async () => {
        const made = await session.call('init_model', { device: 'cpu' })
        return new ModelHandle(session, (made as { model_id: string }).model_id)
      }
      const [model, other] = [await init(), await init()]
      const spec = {
        ...artifact,
        precision: 'Fp32',
        model_schema_hash: 'linear',
        record_format: 'safetensors',
      } as const
      const write = (maxMemoryBytes?: number) =>
        new ModelArtifacts(session, maxMemoryBytes).materialize(
          model,
          { spec, chunking: chunkingScheme(1000) },
          store,
        )
      const whole = await write()
      const { bytes_len } = whole
      for (const longest of [bytes_len - 1, bytes_len, bytes_len + 1]) {
        assert.deepEqual(await write(longest), whole)
        await new ModelArtifacts(session, longest).load(other, whole, store)
        const again = await new ModelArtifacts(session, longest).materialize(
          other,
          { spec, chunking: chunkingScheme(1000) },
          store,
        )
        assert.deepEqual(again, whole)
      }
    })

    for (const isolation of ['none', 'process'] as const) {
      it(`go to a file and back, too (isolation: ${isolation})`, async () => {
        await using project = await open({ width: 50 }, undefined, { isolation })
        await using model = await project.initModel()
        await using other = await project.initModel()
        const path = join(folder, 'model.safetensors')
        await project.materializeModelArtifactFile(model, path)
        await project.loadModelArtifactFile(other, path)
        const bytes = await readFile(path)
        assert.equal(parseSafetensorsHeader(bytes, bytes.byteLength).tensors.length, 2)
        const descriptor = await project.materializeModelArtifact(other, artifact, store)
        assert.deepEqual(Buffer.from(await store.materializeArtifactBytes(descriptor)), bytes)
        await project.loadModelArtifact(model, descriptor, store)
      })
    }

    it('are several at once', async () => {
      await using project = await open({})
      const models = await Promise.all(Array.from({ length: 5 }, () => project.initModel()))
      const descriptors = await Promise.all(
        models.map((model, i) =>
          project.materializeModelArtifact(model, { ...artifact, head_id: `head-${i}` }, store),
        ),
      )
      await Promise.all(
        models.map((model, i) =>
          project.loadModelArtifact(model, descriptors[models.length - 1 - i]!, store),
        ),
      )
    })

    it('whose views the hook keeps are a typed error', async () => {
      await using project = await open({ keeps: true })
      await using model = await project.initModel()
      const descriptor = await project.materializeModelArtifact(model, artifact, store)
      await assert.rejects(
        project.loadModelArtifact(model, descriptor, store),
        BuffersRetainedError,
      )
    })

    it('that do not fit the model are a typed error', async () => {
      await using wide = await open({ width: 9 })
      await using narrow = await open({ width: 3 })
      await using from = await wide.initModel()
      await using to = await narrow.initModel()
      const descriptor = await wide.materializeModelArtifact(from, artifact, store)
      await assert.rejects(narrow.loadModelArtifact(to, descriptor, store), /size mismatch/)
    })

    it('that are no safetensors are a typed error', async () => {
      await using project = await open({})
      await using model = await project.initModel()
      const spec = {
        ...artifact,
        precision: 'Fp32',
        model_schema_hash: 'linear',
        record_format: 'x',
      } as const
      const descriptor = await store.storeArtifactReader(spec, Buffer.from('no safetensors at all'))
      await assert.rejects(project.loadModelArtifact(model, descriptor, store), HookRaisedError)
    })

    it('train on shards that never touch a disk', async () => {
      await using project = await open({})
      await using model = await project.initModel()
      const batch: MemoryBatch = {
        kind: 'memory_microshard_group',
        shards: [LentBuffer.copyOf(shard(7)), LentBuffer.copyOf(shard(5))],
        microshard_ids: ['a', 'b'],
        ordinals: [0, 1],
        bytes_len: 2,
      }
      for (let i = 0; i < 3; i++) {
        const { stats } = await project.trainWindow({ model, batches: [batch] })
        assert.equal(stats.examples_processed, 12n)
      }
      assert.equal(batch.shards[0]!.onLoan, false)
    })
  })

  it('of a workload with the bytes hooks go to the store and back', async () => {
    await using project = await open({}, 'plain:create_bytes_only')
    await using model = await project.initModel()
    const spec = {
      ...artifact,
      precision: 'Fp32',
      model_schema_hash: 'linear',
      record_format: 'x',
    } as const
    const given = await store.storeArtifactReader(spec, Buffer.from('the bytes'))
    const before = await temporaryFolders()
    await project.loadModelArtifact(model, given, store)
    const back = await project.materializeModelArtifact(model, artifact, store)
    assert.equal(await temporaryFolders(), before)
    assert.equal(Buffer.from(await store.materializeArtifactBytes(back)).toString(), 'the bytes')
  })
})
