/** TorchProject and ModelHandle over a real workload without torch. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { EmbeddedRuntime, RuntimeClosedError, TorchProject, ValueError } from '../../lib/index.js'
import { HandleReleasedError } from '../../lib/errors.js'
import type { PythonBatchRef } from '../../lib/schema/index.js'
import { workloadRoot } from '../support/workloads.js'

const runtimeConfig = {
  workload_factory: 'plain:create_workload',
  module_search_roots: [workloadRoot],
}
const plain = { runtime: runtimeConfig }

const batch: PythonBatchRef = {
  kind: 'cached_microshard_group',
  shard_paths: ['a.safetensors'],
  microshard_ids: ['s1'],
  ordinals: [0],
  bytes_len: 10,
}

describe('TorchProject', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('knows what the workload is and can do', async () => {
    await using project = await TorchProject.open(plain)
    assert.equal(project.workloadName, 'plain')
    assert.equal(project.runtimeDevice, 'python-plain')
    assert.deepEqual(project.capability, {
      preferred_backends: ['cpu'],
      work_units_per_second: 2,
      target_window_seconds: 3,
    })
  })

  it('trains in place and evaluates, with int and float metrics apart', async () => {
    await using project = await TorchProject.open(plain)
    await using model = await project.initModel()
    const { stats } = await project.trainWindow({ model, batches: [batch, batch] })
    assert.deepEqual(stats, { steps: 2n, examples_processed: 20n, loss: 0.5, batch_count: 2n })
    const { metrics } = await project.evaluate(model, { Custom: 'held out' })
    assert.deepEqual(metrics, {
      accuracy: 0.75,
      split: '{"Custom": "held out"}',
      steps: 2n,
    })
  })

  it('writes and loads artifacts through the path hooks', async () => {
    await using project = await TorchProject.open(plain)
    await using trained = await project.initModel()
    await using fresh = await project.initModel()
    await project.trainWindow({ model: trained, batches: [batch, batch, batch] })
    const path = join(folder, 'model.json')
    await project.materializeModelArtifactFile(trained, path)
    assert.equal(await project.loadModelArtifactFile(fresh, path), fresh)
    assert.equal((await project.evaluate(fresh, 'Test')).metrics.steps, 3n)
  })

  it('falls back to the bytes hooks', async () => {
    await using project = await TorchProject.open({
      runtime: { ...runtimeConfig, workload_factory: 'plain:create_bytes_only' },
    })
    await using model = await project.initModel()
    const [given, back] = [join(folder, 'given'), join(folder, 'back')]
    await writeFile(given, 'the bytes')
    await project.loadModelArtifactFile(model, given)
    await project.materializeModelArtifactFile(model, back)
    assert.equal(await readFile(back, 'utf8'), 'the bytes')
  })

  it('shares a runtime with other projects, each with its own models', async () => {
    await using runtime = await EmbeddedRuntime.start()
    await using one = await TorchProject.open(plain, { runtime })
    await using two = await TorchProject.open(plain, { runtime })
    await using first = await one.initModel()
    await using second = await two.initModel()
    await Promise.all([
      one.trainWindow({ model: first, batches: [batch] }),
      two.trainWindow({ model: second, batches: [batch, batch] }),
    ])
    assert.equal((await one.evaluate(first, 'Test')).metrics.steps, 1n)
    assert.equal((await two.evaluate(second, 'Test')).metrics.steps, 2n)
    await assert.rejects(one.evaluate(second, 'Test'), ValueError)
  })

  it('passes its configuration on as ordinary JavaScript values', async () => {
    await using project = await TorchProject.open({
      runtime: { ...runtimeConfig, workload_config: { hidden: 64, rate: 0.5, names: ['a'] } },
    })
    await using model = await project.initModel()
    const report: PythonBatchRef = {
      kind: 'micro_epoch',
      lease_id: 'l',
      microshard_ids: [],
      ordinals: [],
      bytes_len: 0,
      pipeline_kind: 'custom',
      payload: { return: '{"config": repr(workload.config)}' },
    }
    const { stats } = await project.trainWindow({ model, batches: [report] })
    assert.equal(stats.config, "{'hidden': 64, 'rate': 0.5, 'names': ['a']}")
  })

  it('refuses calls after it is closed', async () => {
    const project = await TorchProject.open(plain)
    const model = await project.initModel()
    await project.close()
    await assert.rejects(project.evaluate(model, 'Test'), RuntimeClosedError)
    await assert.rejects(project.initModel(), RuntimeClosedError)
    await model.release()
  })
})

describe('ModelHandle', () => {
  it('is released once, and refuses use afterwards', async () => {
    await using project = await TorchProject.open(plain)
    const model = await project.initModel()
    await model.release()
    await model.release()
    assert.equal(model.released, true)
    await assert.rejects(project.evaluate(model, 'Test'), HandleReleasedError)
  })

  it('that is forgotten is freed by the garbage collector', async function () {
    const collect = globalThis.gc
    if (collect === undefined) return this.skip()
    await using runtime = await EmbeddedRuntime.start()
    const session = await runtime.openWorkload({
      factory: 'plain:create_workload',
      moduleSearchRoots: [workloadRoot],
    })
    const project = await TorchProject.open(plain, { runtime })
    await (async () => {
      for (let i = 0; i < 20; i++) await project.initModel()
    })()
    await session.call('init_model', { device: 'cpu' })
    const count = async () => {
      const expression =
        '{"n": sum(len(s._models) for s in sys.modules["torchbed._host.host"]._host._sessions.values())}'
      const batches = [{ payload: { return: expression } }]
      const answer = await session.call('train_window', { model_id: 'm1', batches })
      return (answer as { metrics: { n: bigint } }).metrics.n
    }
    for (let i = 0; i < 100 && (await count()) > 1n; i++) {
      collect()
      await turn()
    }
    assert.equal(await count(), 1n)
    await project.close()
  })
})
