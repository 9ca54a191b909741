/** Models as artifacts of a store: out of Python in chunks, and verified on the way back. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { AbortError, ConfigError, HookRaisedError, TorchProject } from '../../lib/index.js'
import {
  ChunkHashMismatchError,
  chunkingScheme,
  FsArtifactStore,
  UnknownChunkError,
} from '../../lib/store/index.js'
import { contentId } from '../../lib/schema/index.js'
import { RevisionMismatchError } from '../../lib/errors.js'
import { withTorch, workloadRoot } from '../support/workloads.js'
import { batch, openScripted, scripted, seen, type Hooks } from './support.js'

/** An artifact of many chunks: the file is as long as asked. */
const writing = (bytes: number): Hooks => ({
  materialize_model_artifact_path: `open(args[1], "wb").write(bytes(range(256)) * ${bytes / 256})`,
})

const artifact = { kind: 'FullHead', head_id: 'head-1' } as const
const torchIt = withTorch ? it : it.skip
const schema = { model_schema_hash: 'schema' }

describe('an artifact', () => {
  let folder: string
  let store: FsArtifactStore
  let leftBefore: string[]
  const temporaries = () =>
    readdirSync(tmpdir()).filter((name) => name.startsWith('torchbed-artifact-'))
  before(() => {
    leftBefore = temporaries()
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
    store = new FsArtifactStore(join(folder, 'store'), { durability: 'none' })
  })
  afterEach(async () => {
    await rm(folder, { recursive: true })
    const left = temporaries().filter((name) => !leftBefore.includes(name))
    assert.deepEqual(left, [], 'a temporary folder is left')
  })

  it('carries a model through a store into another model', async () => {
    await using project = await openScripted({}, schema)
    await using trained = await project.initModel()
    await using fresh = await project.initModel()
    await project.trainWindow({ model: trained, batches: [batch, batch, batch] })
    const descriptor = await project.materializeModelArtifact(trained, artifact, store)
    assert.deepEqual(await store.loadManifest(descriptor.artifact_id), descriptor)
    assert.equal(await project.loadModelArtifact(fresh, descriptor, store), fresh)
    assert.equal((await project.evaluate(fresh, 'Test')).metrics.steps, 3n)
  })

  it('is described by its kind, its heads and the config, with the defaults of spec project#workload-config', async () => {
    await using project = await openScripted({}, schema)
    await using model = await project.initModel()
    const descriptor = await project.materializeModelArtifact(
      model,
      { ...artifact, base_head_id: 'head-0' },
      store,
    )
    const bytes = Buffer.from('{"device": "python-plain", "steps": 0}')
    const { artifact_id, ...rest } = descriptor
    assert.match(artifact_id, /^1220[0-9a-f]{64}$/)
    assert.deepEqual(rest, {
      kind: 'FullHead',
      head_id: 'head-1',
      base_head_id: 'head-0',
      precision: 'Fp32',
      model_schema_hash: 'schema',
      record_format: 'python-torch-safetensors',
      bytes_len: bytes.length,
      chunks: [
        {
          chunk_id: contentId(bytes),
          offset_bytes: 0,
          length_bytes: bytes.length,
          chunk_hash: contentId(bytes),
        },
      ],
      root_hash: contentId(bytes),
    })
  })

  it('has null for heads that it has not, and what its config says of format and precision', async () => {
    await using project = await openScripted(writing(1024), {
      ...schema,
      artifact_precision: 'Bf16',
      artifact_record_format: 'mine',
      artifact_chunking: { chunk_size_bytes: 1000 },
    })
    await using model = await project.initModel()
    const descriptor = await project.materializeModelArtifact(
      model,
      { kind: 'ServeHead', head_id: null },
      store,
    )
    assert.equal(descriptor.kind, 'ServeHead')
    assert.equal(descriptor.head_id, null)
    assert.equal(descriptor.base_head_id, null)
    assert.equal(descriptor.precision, 'Bf16')
    assert.equal(descriptor.record_format, 'mine')
    assert.deepEqual(
      descriptor.chunks.map(({ length_bytes }) => length_bytes),
      [1000, 24],
    )
  })

  it('is cut into chunks of 262,144 bytes, the last one shorter', async () => {
    await using project = await openScripted(writing(600_064), schema)
    await using model = await project.initModel()
    const { bytes_len, chunks } = await project.materializeModelArtifact(model, artifact, store)
    assert.equal(bytes_len, 600_064)
    assert.deepEqual(
      chunks.map(({ offset_bytes, length_bytes }) => [offset_bytes, length_bytes]),
      [
        [0, 262_144],
        [262_144, 262_144],
        [524_288, 75_776],
      ],
    )
  })

  it('has the same id for the same model, and another for another head', async () => {
    await using project = await openScripted({}, schema)
    await using one = await project.initModel()
    await using two = await project.initModel()
    const first = await project.materializeModelArtifact(one, artifact, store)
    assert.deepEqual(await project.materializeModelArtifact(two, artifact, store), first)
    const other = { ...artifact, head_id: 'head-2' }
    const third = await project.materializeModelArtifact(two, other, store)
    assert.notEqual(third.artifact_id, first.artifact_id)
    assert.deepEqual(third.chunks, first.chunks)
  })

  it('is shown to the workload as artifact.safetensors in a separate folder', async () => {
    await using project = await openScripted(
      {
        materialize_model_artifact_path: 'see(args[1]) or usual(*args)',
        load_model_artifact_path: 'see(args[1]) or usual(*args)',
      },
      schema,
    )
    await using model = await project.initModel()
    const descriptor = await project.materializeModelArtifact(model, artifact, store)
    await project.loadModelArtifact(model, descriptor, store)
    const paths = String(await seen(project)).split('\n')
    assert.equal(paths.length, 2)
    assert.notEqual(paths[0], paths[1])
    for (const path of paths) assert.match(path, /torchbed-artifact-[^/]+\/artifact\.safetensors'$/)
  })

  it('of another model schema is refused before its bytes are read', async () => {
    await using project = await openScripted({}, schema)
    await using other = await TorchProject.open(scripted({}, { model_schema_hash: 'other' }))
    await using model = await project.initModel()
    await using foreign = await other.initModel()
    const descriptor = await other.materializeModelArtifact(foreign, artifact, store)
    await rm(join(store.root, 'artifacts', 'chunks'), { recursive: true })
    await assert.rejects(
      project.loadModelArtifact(model, descriptor, store),
      (error) =>
        error instanceof RevisionMismatchError &&
        error.message === 'Cannot use model_schema_hash "other": this workload\'s is "schema"',
    )
  })

  it('is loaded whatever its schema when the config names none, but not made then', async () => {
    await using maker = await openScripted({}, schema)
    await using loader = await openScripted()
    await using made = await maker.initModel()
    await using model = await loader.initModel()
    const descriptor = await maker.materializeModelArtifact(made, artifact, store)
    await loader.loadModelArtifact(model, descriptor, store)
    await assert.rejects(
      loader.materializeModelArtifact(model, artifact, store),
      (error) => error instanceof ConfigError && error.issues[0]?.path === 'model_schema_hash',
    )
  })

  it('with a corrupt chunk is refused, and the model stays as it was', async () => {
    await using project = await openScripted({}, schema)
    await using model = await project.initModel()
    await using trained = await project.initModel()
    await project.trainWindow({ model: trained, batches: [batch] })
    const descriptor = await project.materializeModelArtifact(trained, artifact, store)
    const [chunk] = descriptor.chunks
    assert.ok(chunk)
    const path = store.chunkPath(chunk.chunk_id)
    const text = await readFile(path, 'utf8')
    await writeFile(path, text.replace('"steps": 1', '"steps": 9'))
    await assert.rejects(
      project.loadModelArtifact(model, descriptor, store),
      ChunkHashMismatchError,
    )
    await rm(path)
    await assert.rejects(project.loadModelArtifact(model, descriptor, store), UnknownChunkError)
    assert.equal((await project.evaluate(model, 'Test')).metrics.steps, 0n)
  })

  it('that the workload cannot write or read is a typed error, and nothing is stored', async () => {
    await using project = await openScripted(
      {
        materialize_model_artifact_path: 'fail("no space") if n == 1 else usual(*args)',
        load_model_artifact_path: 'fail("not my layers")',
      },
      schema,
    )
    await using model = await project.initModel()
    await assert.rejects(project.materializeModelArtifact(model, artifact, store), HookRaisedError)
    for await (const { path } of store.listManifests()) assert.fail(path)
    const descriptor = await project.materializeModelArtifact(model, artifact, store)
    await assert.rejects(
      project.loadModelArtifact(model, descriptor, store),
      (error) => error instanceof HookRaisedError && error.message.includes('not my layers'),
    )
  })

  it('can be aborted on its way in and out', async () => {
    const begunAndBusy =
      '[__import__("torchbed").progress(0)] + [time.sleep(0.001) for _ in range(5000)]'
    await using project = await openScripted(
      {
        materialize_model_artifact_path: `${begunAndBusy} if n == 1 else usual(*args)`,
        load_model_artifact_path: begunAndBusy,
      },
      schema,
    )
    await using model = await project.initModel()
    const whenBegun = () => {
      const abort = new AbortController()
      return { signal: abort.signal, onProgress: () => abort.abort() }
    }
    const first = project.materializeModelArtifact(model, artifact, store, whenBegun())
    await assert.rejects(first, AbortError)
    const descriptor = await project.materializeModelArtifact(model, artifact, store)
    await assert.rejects(
      project.loadModelArtifact(model, descriptor, store, whenBegun()),
      AbortError,
    )
  })

  torchIt(
    'goes through lent memory, which is freed as soon as it is stored or loaded',
    async () => {
      const modelBytes = 96_000_000
      await using project = await TorchProject.open({
        runtime: {
          workload_factory: 'exchanging:create_workload',
          module_search_roots: [workloadRoot],
          workload_config: { width: modelBytes / 12 },
        },
        ...schema,
        artifact_chunking: chunkingScheme(),
      })
      await using trained = await project.initModel()
      await using fresh = await project.initModel()
      const before = process.memoryUsage.rss()
      // Another thread frees it, within milliseconds; a garbage collector would take many seconds.
      const assertFreed = async (after: string) => {
        const kept = () => process.memoryUsage.rss() - before
        for (let wait = 0; wait < 50 && kept() > modelBytes / 2; wait++) await sleep(20)
        assert.ok(kept() < modelBytes / 2, `${kept()} bytes are kept after a ${after}`)
      }
      const descriptor = await project.materializeModelArtifact(trained, artifact, store)
      await assertFreed('publish')
      await project.loadModelArtifact(fresh, descriptor, store)
      await assertFreed('load')
      const checksum = async (model: typeof fresh) =>
        (await project.evaluate(model, 'Test')).metrics
      assert.deepEqual(await checksum(fresh), await checksum(trained))
    },
  )
})
