/** A TorchProject over a child process: the same workload, one option apart. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ConfigError,
  EmbeddedRuntime,
  SubprocessRuntime,
  TorchProject,
  WorkerExitedError,
  type PyInput,
  type TorchProjectOptions,
} from '../../../lib/index.js'
import type { PythonBatchRef } from '../../../lib/schema/index.js'
import { withTorch, workloadRoot } from '../../support/workloads.js'
import { workersOf } from '../../runtime/shared/processes.js'
import { failure } from '../../runtime/shared/runtime-suite.js'

const open = (options: TorchProjectOptions, factory = 'create_workload', config: PyInput = {}) => {
  const workload_factory = `plain:${factory}`
  const runtime = { workload_factory, workload_config: config, module_search_roots: [workloadRoot] }
  return TorchProject.open({ runtime }, options)
}

const batch: PythonBatchRef = {
  kind: 'cached_microshard_group',
  shard_paths: [],
  microshard_ids: ['a'],
  ordinals: [0],
  bytes_len: 0,
}

/** What a project does with a workload, as far as one can see from outside. */
async function story(options: TorchProjectOptions, artifact: string): Promise<unknown[]> {
  await using project = await open(options, 'create_mergeable', { loss: 2 })
  await using model = await project.initModel()
  await using other = await project.initModel()
  const window = await project.trainWindow({ model, batches: [batch, batch, batch] })
  await project.trainWindow({ model: other, batches: [batch] })
  const evaluation = await project.evaluate(model, { Custom: 'späť' })
  const candidates = [model, other].map((candidate, index) => ({
    peer_id: `peer-${index}`,
    head_id: `head-${index}`,
    artifact_id: `artifact-${index}`,
    model: candidate,
    sample_weight: 1 + index,
    quality_weight: 1,
  }))
  const merged = await project.mergeCandidateModels(model, candidates, 'WeightedMean')
  await project.materializeModelArtifactFile(merged ?? model, artifact)
  await project.loadModelArtifactFile(other, artifact)
  return [
    project.workloadName,
    project.runtimeDevice,
    project.capability,
    window.stats,
    evaluation.metrics,
    (await project.evaluate(other, 'Test')).metrics,
    await readFile(artifact, 'utf8'),
  ]
}

describe('a TorchProject in a process of its own', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
  })
  after(() => rm(folder, { recursive: true }))
  afterEach(async () => assert.deepEqual(await workersOf(process.pid), []))

  it('does what it does in this process, bit for bit', async () => {
    const embedded = await story({}, join(folder, 'a.json'))
    const isolated = await story({ isolation: 'process' }, join(folder, 'b.json'))
    assert.deepEqual(isolated, embedded)
    await using shared = await SubprocessRuntime.start({ module: 'reference_worker' })
    await using project = await open({ runtime: shared })
    assert.equal(project.workloadName, 'plain')
  })

  it('fails with a typed error when its process crashes, and this process lives', async () => {
    await using project = await open({ isolation: 'process' })
    await using model = await project.initModel()
    const crash: PythonBatchRef = {
      ...{ kind: 'micro_epoch', lease_id: 'l', microshard_ids: [], ordinals: [], bytes_len: 0 },
      ...{ pipeline_kind: 'custom', payload: { do: 'import ctypes; ctypes.string_at(0)' } },
    }
    const stderr = process.stderr.write.bind(process.stderr)
    process.stderr.write = () => true // where the worker's last words would go
    try {
      const error = await failure(project.trainWindow({ model, batches: [crash] }))
      assert.ok(error instanceof WorkerExitedError)
    } finally {
      process.stderr.write = stderr
    }
    assert.ok(project.closed)
  })

  it('closes its process when the workload does not open', async () => {
    await failure(open({ isolation: 'process' }, 'create_failing'))
    assert.deepEqual(await workersOf(process.pid), [])
  })

  it('refuses an isolation that a shared runtime contradicts', async () => {
    await using runtime = await EmbeddedRuntime.start()
    const error = await failure(open({ runtime, isolation: 'process' }))
    assert.ok(error instanceof ConfigError)
    assert.match(error.message, /isolation: `isolation` cannot be combined with `runtime`/)
  })
  ;(withTorch ? it : it.skip)(
    'trains with torch and the worker processes of a DataLoader',
    async () => {
      const workload_factory = 'loading:create_workload'
      const runtime = { workload_factory, module_search_roots: [workloadRoot] }
      const shard = join(folder, 'shard.safetensors')
      await writeFile(shard, imageShard(96))
      const batches: PythonBatchRef[] = [{ ...batch, shard_paths: [shard] }]
      const losses: unknown[] = []
      for (const isolation of ['process', 'none'] as const) {
        await using project = await TorchProject.open({ runtime }, { isolation })
        await using model = await project.initModel()
        const { stats } = await project.trainWindow({ model, batches })
        assert.equal(stats.examples_processed, 96n)
        losses.push(stats.loss)
      }
      assert.equal(typeof losses[0], 'number')
      assert.equal(losses[0], losses[1])
    },
  )
})

/** `images` float32 [examples, 64] and `labels` int64 [examples], as safetensors. */
function imageShard(examples: number): Buffer {
  const images = Float32Array.from({ length: examples * 64 }, (_, i) => (i % 17) / 17)
  const labels = BigInt64Array.from({ length: examples }, (_, i) => BigInt(i % 10))
  const header = JSON.stringify({
    images: { dtype: 'F32', shape: [examples, 64], data_offsets: [0, images.byteLength] },
    labels: {
      dtype: 'I64',
      shape: [examples],
      data_offsets: [images.byteLength, images.byteLength + labels.byteLength],
    },
  })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const data = [Buffer.from(images.buffer), Buffer.from(labels.buffer)]
  return Buffer.concat([length, Buffer.from(header), ...data])
}
