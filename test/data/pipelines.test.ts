import assert from 'node:assert/strict'

import fc from 'fast-check'

import {
  customPipeline,
  generatedDatasetPipeline,
  indexedDatasetPipeline,
  LeasePlanner,
  localUpstreamRoot,
  microEpochPipeline,
  registration,
  shardedDataPipeline,
} from '../../lib/data/index.js'
import {
  jsonFrom,
  PythonBatchRef,
  type AssignmentLease,
  type CachedMicroShard,
  type LeaseDataPipelineDescriptor,
  type PythonTorchDatasetConfig,
} from '../../lib/schema/index.js'
import { request, SHARD_0, SHARD_1, shard, sizing, view } from './support/records.js'

const config: PythonTorchDatasetConfig = {
  root: '/data/set',
  dataset_id: 'dataset-1',
  dataset_view_id: 'view-1',
  source_uri: 'file:///data/set',
  format: 'npz',
  manifest_hash: 'manifest-1',
  preprocessing_hash: 'preprocessing-1',
  tokenizer_hash: null,
  sizing: sizing(20),
  planner: { target_microshard_bytes: 10, min_microshards: 1, max_microshards: 16 },
  microshards_per_batch: 2,
  metadata: {},
}

const cached = (count: number): CachedMicroShard[] =>
  Array.from({ length: count }, (_, ordinal) => ({
    microshard: shard(ordinal),
    path: `/cache/${ordinal}`,
    content_hash: 'hash',
    bytes_len: 100 + ordinal,
  }))

const lease = async (): Promise<AssignmentLease> =>
  (await new LeasePlanner().planLease(request, [shard(0), shard(1), shard(2)])).lease

describe('the sharded pipeline', () => {
  it('describes itself as spec formats#records says', () => {
    assert.deepEqual(shardedDataPipeline(config).descriptor, {
      pipeline_name: 'python-sharded-dataset',
      kind: 'sharded-static',
      input_source: null,
      metadata: { format: 'npz' },
    })
  })

  it('registers and plans the dataset of its config, once', async () => {
    const pipeline = shardedDataPipeline(config)
    const registered = await pipeline.registration()
    assert.deepEqual(registered, registration(config))
    assert.equal(localUpstreamRoot(registered), '/data/set')
    const plan = await pipeline.plan(registered)
    assert.deepEqual(
      plan.microshards.map((one) => one.microshard_id),
      [SHARD_0, SHARD_1],
    )
    assert.equal(await pipeline.plan(registered), plan)
  })

  it('rejects with a typed error when its dataset cannot be planned, and can be aborted', async () => {
    const planner = { ...config.planner, target_microshard_bytes: 0 }
    const broken = shardedDataPipeline({ ...config, planner })
    await assert.rejects(broken.plan(await broken.registration()), {
      code: 'ERR_DATA_INVALID_TARGET_MICROSHARD_BYTES',
    })
    const pipeline = shardedDataPipeline(config)
    const signal = AbortSignal.abort()
    await assert.rejects(pipeline.plan(registration(config), { signal }), { code: 'ABORT_ERR' })
    assert.equal((await pipeline.plan(registration(config))).microshards.length, 2)
  })

  it('groups cached shards in order, the last group shorter', async () => {
    const batches = await shardedDataPipeline(config).loadBatches(await lease(), cached(3))
    assert.deepEqual(batches, [
      {
        kind: 'cached_microshard_group',
        shard_paths: ['/cache/0', '/cache/1'],
        microshard_ids: ['shard-0', 'shard-1'],
        ordinals: [0, 1],
        bytes_len: 201,
      },
      {
        kind: 'cached_microshard_group',
        shard_paths: ['/cache/2'],
        microshard_ids: ['shard-2'],
        ordinals: [2],
        bytes_len: 102,
      },
    ])
    for (const batch of batches) PythonBatchRef.toJson(batch)
  })

  it('has every shard in exactly one group of the right size; 0 per batch is 1', async () => {
    const one = await lease()
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 30 }), fc.nat({ max: 10 }), async (count, size) => {
        const pipeline = shardedDataPipeline({ ...config, microshards_per_batch: size })
        const batches = await pipeline.loadBatches(one, cached(count))
        const ordinals = batches.flatMap((batch) => batch.ordinals)
        assert.deepEqual(ordinals, [...Array(count).keys()])
        assert.equal(batches.length, Math.ceil(count / Math.max(1, size)))
        for (const batch of batches.slice(0, -1)) {
          assert.equal(batch.ordinals.length, Math.max(1, size))
        }
      }),
    )
  })

  it('refuses a config that does not fit its format', () => {
    assert.throws(() => shardedDataPipeline({ ...config, microshards_per_batch: -1 }), {
      code: 'ERR_CONFIG',
      message: /microshards_per_batch/,
    })
  })
})

describe('a micro-epoch pipeline', () => {
  const descriptor: LeaseDataPipelineDescriptor = {
    pipeline_name: 'mine',
    kind: 'custom',
    input_source: { kind: 'http-json', url: 'http://host/x', record_count: null },
    metadata: { a: 'b' },
  }
  const register = () => registration(config)
  const plan = () => ({ dataset_view: view(), sizing: sizing(30), microshards: [] })

  it('makes exactly one batch, with the ids of the lease and the ordinals of the cached', async () => {
    const one = await lease()
    const pipeline = microEpochPipeline(descriptor, register, plan, (given, shards) =>
      jsonFrom({ window: given.window_id, shards: shards.length, rate: 0.5 }),
    )
    assert.equal(pipeline.descriptor, descriptor)
    const batch = {
      kind: 'micro_epoch',
      lease_id: one.lease_id,
      microshard_ids: one.microshards,
      pipeline_kind: 'custom',
    }
    assert.deepEqual(await pipeline.loadBatches(one, cached(2)), [
      {
        ...batch,
        ordinals: [0, 1],
        bytes_len: 201,
        payload: { window: 9n, shards: 2n, rate: 0.5 },
      },
    ])
    assert.deepEqual(await pipeline.loadBatches(one, []), [
      { ...batch, ordinals: [], bytes_len: 0, payload: { window: 9n, shards: 0n, rate: 0.5 } },
    ])
  })

  it('is of its kind when it is indexed or generated', async () => {
    const one = await lease()
    const payload = () => Promise.resolve(null)
    for (const [pipeline, kind] of [
      [indexedDatasetPipeline('named', register, plan, payload), 'indexed-dataset'],
      [generatedDatasetPipeline('named', register, plan, payload), 'generated-dataset'],
    ] as const) {
      assert.deepEqual(pipeline.descriptor, {
        pipeline_name: 'named',
        kind,
        input_source: null,
        metadata: {},
      })
      const [batch] = await pipeline.loadBatches(one, [])
      assert(batch?.kind === 'micro_epoch')
      assert.equal(batch.pipeline_kind, kind)
      assert.deepEqual(await pipeline.registration(), registration(config))
      assert.deepEqual(await pipeline.plan(registration(config)), plan())
    }
  })

  it('rejects when one of its functions throws', async () => {
    const failure = new Error('no payload')
    const pipeline = indexedDatasetPipeline('named', register, plan, () => {
      throw failure
    })
    await assert.rejects(pipeline.loadBatches(await lease(), []), failure)
  })
})

describe('a custom pipeline', () => {
  it('calls its own functions with the signal of the caller', async () => {
    const { signal } = new AbortController()
    const seen: unknown[] = []
    const pipeline = customPipeline<number>({
      descriptor: { pipeline_name: 'own', kind: 'custom', input_source: null, metadata: {} },
      registration: (options) => {
        seen.push(options.signal)
        return registration(config)
      },
      plan: (registered, options) => {
        seen.push(registered, options.signal)
        return { dataset_view: view(), sizing: sizing(1), microshards: [] }
      },
      loadBatches: (_lease, shards, options) => {
        seen.push(shards.length, options.signal)
        return [1, 2]
      },
    })
    const registered = await pipeline.registration({ signal })
    await pipeline.plan(registered, { signal })
    assert.deepEqual(await pipeline.loadBatches(await lease(), cached(2), { signal }), [1, 2])
    assert.deepEqual(seen, [signal, registered, signal, 2, signal])
  })

  it('refuses a descriptor that does not fit its format', () => {
    const descriptor = { pipeline_name: 'x', kind: 'other', input_source: null, metadata: {} }
    assert.throws(
      () =>
        indexedDatasetPipeline(
          3 as never,
          () => registration(config),
          () => null as never,
          () => null,
        ),
      { code: 'ERR_CONFIG', message: /pipeline_name/ },
    )
    assert.throws(
      () =>
        customPipeline({
          descriptor: descriptor as LeaseDataPipelineDescriptor,
          registration: () => registration(config),
          plan: () => null as never,
          loadBatches: () => [],
        }),
      { code: 'ERR_CONFIG', message: /kind/ },
    )
  })
})
