/** Models, windows and evaluations: what the host adds to a hook's answer, and how failures arrive. */
/* eslint-disable @typescript-eslint/no-deprecated -- what is there for parity alone is held too */
import assert from 'node:assert/strict'
import { generatedDatasetPipeline } from '../../lib/data/index.js'
import { HookRaisedError, TorchProject } from '../../lib/index.js'
import {
  jsonFrom,
  type AssignmentLease,
  type DatasetRegistration,
  type MicroShardPlan,
} from '../../lib/schema/index.js'
import { MetricValueError, ProtocolError } from '../../lib/errors.js'
import { batch, cachedShard, openScripted, scripted, seen } from './support.js'

describe('a new model', () => {
  it('is made on the device that the workload names, or on another when asked', async () => {
    await using project = await openScripted({ init_model: 'see(args) or usual(*args)' })
    await using model = await project.initModel()
    await using other = await project.initModel('python-torch-cuda')
    assert.notEqual(model.modelId, other.modelId)
    const devices = String(await seen(project)).split('\n')
    assert.deepEqual(devices.slice(0, 2), ["('python-plain',)", "('python-torch-cuda',)"])
  })

  it('that the workload cannot make is a typed error with the Python traceback', async () => {
    await using project = await openScripted({ init_model: 'fail("no such device")' })
    await assert.rejects(project.initModel('tpu'), (error) => {
      assert.ok(error instanceof HookRaisedError)
      assert.equal(error.pythonType, 'LookupError')
      assert.match(error.message, /python rpc init_model failed: .*no such device/)
      assert.match(error.pythonTraceback, /scripted\.py/)
      return true
    })
  })

  it('that is None is a typed error', async () => {
    await using project = await openScripted({ init_model: 'None' })
    await assert.rejects(project.initModel(), ProtocolError)
  })
})

describe('the stats of a window', () => {
  const shards = [cachedShard(100, 1000), cachedShard(20, 200)]

  async function statsOf(expression: string, cached = shards) {
    await using project = await openScripted({ train_window: expression })
    await using model = await project.initModel()
    const window = { model, batches: [batch, batch], cachedMicroshards: cached }
    return (await project.trainWindow(window)).stats
  }

  it('always have the number of batches, whatever the workload says', async () => {
    const stats = await statsOf('{"batch_count": 99, "loss": 0.5}', [])
    assert.deepEqual(stats, { batch_count: 2n, loss: 0.5 })
  })

  it('have the number of microshards when there are some', async () => {
    assert.equal((await statsOf('{"microshard_count": 99}')).microshard_count, 2n)
    assert.equal((await statsOf('{}', [])).microshard_count, undefined)
  })

  it('keep what the workload counted', async () => {
    const stats = await statsOf('{"examples_processed": 7, "tokens_processed": 8}')
    assert.equal(stats.examples_processed, 7n)
    assert.equal(stats.tokens_processed, 8n)
  })

  it('keep a count of zero, which is no lack of one', async () => {
    const stats = await statsOf('{"examples_processed": 0}')
    assert.equal(stats.examples_processed, 0n)
    assert.equal(stats.tokens_processed, 1200n)
  })

  it('have the estimates of the plan where the workload does not count', async () => {
    const stats = await statsOf('{"loss": 0.5}')
    assert.deepEqual(stats, {
      loss: 0.5,
      batch_count: 2n,
      microshard_count: 2n,
      examples_processed: 120n,
      tokens_processed: 1200n,
    })
  })

  it('have no estimate of zero', async () => {
    const stats = await statsOf('{"loss": 0.5}', [cachedShard(3, 0)])
    assert.equal(stats.examples_processed, 3n)
    assert.equal(stats.tokens_processed, undefined)
  })

  it('are what the contribution reports and is weighed by', async () => {
    await using project = await openScripted({
      train_window: '{"loss": 0.5} if n == 2 else {"examples_processed": 7}',
    })
    await using model = await project.initModel()
    const report = await project.trainWindow({ model, batches: [] })
    assert.equal(report.contribution, null)
    assert.match(report.completed_at, /^\d{4}-\d\d-\d\dT.*Z$/)
    assert.equal(project.contributionMetrics(report), report.stats)
    assert.equal(project.contributionWeight(report), 7)
    // No batch and no count: nothing to weigh by.
    assert.equal(project.contributionWeight(await project.trainWindow({ model, batches: [] })), 1)
  })

  it('are an error when the hook fails, and the model is still there', async () => {
    await using project = await openScripted({
      train_window: 'fail("out of data") if n == 1 else usual(*args)',
    })
    await using model = await project.initModel()
    await assert.rejects(project.trainWindow({ model, batches: [batch] }), HookRaisedError)
    const { stats } = await project.trainWindow({ model, batches: [batch] })
    assert.equal(stats.steps, 1n)
  })

  it('carry NaN and infinities, which the reference could not', async () => {
    const stats = await statsOf('{"loss": float("nan"), "norm": float("inf")}')
    assert.ok(Number.isNaN(stats.loss))
    assert.equal(stats.norm, Infinity)
  })
})

describe('an evaluation', () => {
  it('gets the split in the form of spec formats#enums', async () => {
    await using project = await openScripted({ evaluate: 'see(args[1]) or usual(*args)' })
    await using model = await project.initModel()
    for (const split of ['Train', 'Validation', 'Test', { Custom: 'held out' }] as const) {
      const { metrics, captured_at } = await project.evaluate(model, split)
      assert.equal(metrics.accuracy, 0.75)
      assert.match(captured_at, /Z$/)
    }
    assert.equal(await seen(project), "'Train'\n'Validation'\n'Test'\n{'Custom': 'held out'}")
  })

  it('that fails is an error to the caller, never a metric', async () => {
    await using project = await openScripted({ evaluate: 'fail("no test data")' })
    await using model = await project.initModel()
    await assert.rejects(project.evaluate(model, 'Test'), /no test data/)
    await assert.rejects(project.evaluate(model, 'Test'), HookRaisedError)
  })

  it('that gives no metric is an error to the caller', async () => {
    await using project = await openScripted({ evaluate: '{"loss": [0.5]}' })
    await using model = await project.initModel()
    await assert.rejects(project.evaluate(model, 'Test'), MetricValueError)
  })
})

describe('a pipeline of its own', () => {
  const view = {
    dataset_view_id: 'view',
    dataset_id: 'numbers',
    preprocessing_hash: 'none',
    tokenizer_hash: null,
    manifest_hash: 'none',
    metadata: {},
  }
  const registration: DatasetRegistration = {
    manifest: {
      dataset_id: 'numbers',
      source_uri: 'generated',
      format: 'none',
      manifest_hash: 'none',
      metadata: {},
    },
    view,
    upstream: { Http: { base_url: 'http://shards.invalid' } },
  }
  const plan: MicroShardPlan = {
    dataset_view: view,
    sizing: { total_examples: 0, total_tokens: 0, total_bytes: 0 },
    microshards: [],
  }
  const lease: AssignmentLease = {
    lease_id: 'lease-1',
    network_id: 'network',
    study_id: 'study',
    experiment_id: 'experiment',
    revision_id: 'revision',
    peer_id: 'peer-1',
    dataset_view_id: 'view',
    window_id: 3,
    granted_at: '2026-01-02T03:04:05Z',
    expires_at: '2026-01-02T03:09:05Z',
    budget_work_units: 1,
    microshards: ['s1', 's2'],
    assignment_hash: 'hash',
  }

  it('gives a project its registration, plan and batches, without a dataset in the config', async () => {
    const pipeline = generatedDatasetPipeline(
      'numbers',
      () => registration,
      () => plan,
      () => jsonFrom({ return: '{"steps": 1}' }),
    )
    await using project = await TorchProject.open(scripted(), { pipeline })
    assert.equal(project.dataPipelineKind, 'generated-dataset')
    assert.equal(project.dataPipelineDescriptor.pipeline_name, 'numbers')
    assert.equal(project.pipeline, pipeline)
    assert.deepEqual(await project.datasetRegistration(), registration)
    assert.equal(await project.localUpstreamRoot(), null)
    assert.equal(project.configuredShardRoot, null)
    assert.deepEqual(await project.microshardPlan(registration), plan)

    const batches = await project.loadBatches(lease, [cachedShard(1, 1)])
    await using model = await project.initModel()
    const { stats } = await project.trainWindow({ model, batches })
    assert.deepEqual(stats, {
      steps: 1n,
      batch_count: 1n,
    })
  })

  it('is seen by the workload as one batch, with its payload as it was', async () => {
    const pipeline = generatedDatasetPipeline(
      'numbers',
      () => registration,
      () => plan,
      ({ window_id }) => jsonFrom({ seed: window_id, rate: 0.5 }),
    )
    const hooks = {
      train_window: 'see(args[1]) or {}',
      evaluate: '{"seen": workload.seen[0]}',
    }
    await using project = await TorchProject.open(scripted(hooks), { pipeline })
    await using model = await project.initModel()
    await project.trainWindow({ model, batches: await project.loadBatches(lease, []) })
    assert.equal(
      (await project.evaluate(model, 'Test')).metrics.seen,
      "[{'kind': 'micro_epoch', 'lease_id': 'lease-1', 'microshard_ids': ['s1', 's2'], " +
        "'ordinals': [], 'bytes_len': 0, 'pipeline_kind': 'generated-dataset', " +
        "'payload': {'rate': 0.5, 'seed': 3}}]",
    )
  })

  it('wins over the dataset of the config', async () => {
    const pipeline = generatedDatasetPipeline(
      'numbers',
      () => registration,
      () => plan,
      () => null,
    )
    const dataset = {
      root: '/data/shards',
      dataset_id: 'shards',
      dataset_view_id: 'view',
      source_uri: 'local',
      format: 'safetensors',
      manifest_hash: 'none',
      preprocessing_hash: 'none',
      tokenizer_hash: null,
      sizing: { total_examples: 1, total_tokens: 0, total_bytes: 0 },
      planner: { target_microshard_bytes: 1, min_microshards: 1, max_microshards: 1 },
      microshards_per_batch: 1,
      metadata: {},
    }
    await using own = await TorchProject.open(scripted({}, { dataset }), { pipeline })
    assert.equal(own.dataPipelineDescriptor.pipeline_name, 'numbers')
    assert.equal(own.configuredShardRoot, '/data/shards')
    await using usual = await TorchProject.open(scripted({}, { dataset }))
    assert.equal(usual.dataPipelineDescriptor.pipeline_name, 'python-sharded-dataset')
    assert.equal(usual.dataPipelineKind, 'sharded-static')
    assert.equal(await usual.localUpstreamRoot(), '/data/shards')
  })
})
