import assert from 'node:assert/strict'

import fc from 'fast-check'

import { MicroShardPlanner, plan, registration } from '../../lib/data/index.js'
import { microShardId, type PythonTorchDatasetConfig } from '../../lib/schema/index.js'
import { SHARD_0, SHARD_1, sizing, view } from './support/records.js'

const measures = ['examples', 'tokens', 'bytes'] as const

describe('the microshard planner', () => {
  it('gives the known ids of spec formats#golden-vectors', async () => {
    const planner = new MicroShardPlanner({ target_microshard_bytes: 10 })
    const { microshards, ...rest } = await planner.plan(view(), sizing(20))
    assert.deepEqual(rest, { dataset_view: view(), sizing: sizing(20) })
    const shares = { estimated_examples: 10, estimated_tokens: 10, estimated_bytes: 10 }
    assert.deepEqual(microshards, [
      { microshard_id: SHARD_0, dataset_view_id: 'view-1', ordinal: 0, ...shares },
      { microshard_id: SHARD_1, dataset_view_id: 'view-1', ordinal: 1, ...shares },
    ])
  })

  it('has the defaults of spec planning#microshards', () => {
    assert.deepEqual(new MicroShardPlanner().config, {
      target_microshard_bytes: 67_108_864,
      min_microshards: 1,
      max_microshards: 16_384,
    })
  })

  it('counts by bytes, else by tokens, else by examples, and at least one', () => {
    const planner = new MicroShardPlanner({ target_microshard_bytes: 10 })
    assert.equal(planner.count(sizing(70, 50, 30)), 3)
    assert.equal(planner.count(sizing(70, 50, 0)), 5)
    assert.equal(planner.count(sizing(70, 0, 0)), 7)
    assert.equal(planner.count(sizing(0)), 1)
    assert.equal(planner.count(sizing(0, 0, 31)), 4)
  })

  it('stays within the least and the most, of which the least wins', () => {
    const count = (min_microshards: number, max_microshards: number) =>
      new MicroShardPlanner({
        target_microshard_bytes: 1,
        min_microshards,
        max_microshards,
      }).count(sizing(0, 0, 5))
    assert.equal(count(0, 100), 5)
    assert.equal(count(8, 100), 8)
    assert.equal(count(0, 3), 3)
    assert.equal(count(8, 3), 8)
    assert.equal(count(0, 0), 1)
  })

  it('rounds the count up exactly where a division of floats would not', () => {
    const planner = new MicroShardPlanner({
      target_microshard_bytes: 1000,
      max_microshards: 0xffffffff,
    })
    const bytes = 4_000_000_000_001
    assert.equal(planner.count(sizing(0, 0, bytes)), 4_000_000_001)
    assert.equal(planner.count(sizing(0, 0, bytes - 1)), 4_000_000_000)
  })

  it('gives shares that add up to the totals, differ by at most one, and name their shard', () =>
    fc.assert(
      fc.asyncProperty(
        fc.record({
          total_examples: fc.maxSafeNat(),
          total_tokens: fc.oneof(fc.maxSafeNat(), fc.constant(0)),
          total_bytes: fc.oneof(fc.nat(), fc.constant(0)),
        }),
        fc.integer({ min: 1, max: 2 ** 40 }),
        fc.integer({ min: 1, max: 40 }),
        fc.string({ unit: 'binary' }),
        async (total, target_microshard_bytes, max_microshards, viewId) => {
          const config = { target_microshard_bytes, max_microshards }
          const { microshards } = await new MicroShardPlanner(config).plan(view(viewId), total)
          assert(microshards.length >= 1 && microshards.length <= max_microshards)
          for (const measure of measures) {
            const shares = microshards.map((shard) => shard[`estimated_${measure}`])
            assert.equal(
              shares.reduce((sum, share) => sum + BigInt(share), 0n),
              BigInt(total[`total_${measure}`]),
            )
            assert(Math.max(...shares) - Math.min(...shares) <= 1)
            assert.deepEqual(
              shares,
              [...shares].sort((a, b) => b - a),
              'the first have one more',
            )
          }
          for (const [index, shard] of microshards.entries()) {
            assert.equal(shard.ordinal, index)
            assert.equal(shard.microshard_id, microShardId(shard))
          }
        },
      ),
    ))

  it('refuses a target of 0, and totals and limits that are no counts', async () => {
    assert.throws(() => new MicroShardPlanner({ target_microshard_bytes: 0 }), {
      code: 'ERR_DATA_INVALID_TARGET_MICROSHARD_BYTES',
      message: /target_microshard_bytes is 0; give/,
    })
    assert.throws(() => new MicroShardPlanner({ max_microshards: 1.5 }), {
      code: 'ERR_CONFIG',
      message: /max_microshards.* got 1\.5/,
    })
    for (const total of [-1, NaN, Infinity, 0.5, 2 ** 53]) {
      await assert.rejects(new MicroShardPlanner().plan(view(), sizing(1, 1, total)), {
        code: 'ERR_CONFIG',
        message: /total_bytes/,
      })
    }
    await assert.rejects(new MicroShardPlanner().plan(view('\ud800'), sizing(1)), {
      code: 'ERR_DATA_SCHEMA',
      message: /"\\ud800" has a lone surrogate/,
    })
  })

  it('stops when its signal fires, also in the middle', async () => {
    const planner = new MicroShardPlanner({
      target_microshard_bytes: 1,
      max_microshards: 1_000_000,
    })
    const total = sizing(0, 0, 1_000_000)
    const reason = new Error('enough')
    await assert.rejects(planner.plan(view(), total, { signal: AbortSignal.abort(reason) }), {
      code: 'ABORT_ERR',
      cause: reason,
    })
    const controller = new AbortController()
    const planning = planner.plan(view(), total, { signal: controller.signal })
    setTimeout(() => controller.abort(), 20)
    await assert.rejects(planning, { code: 'ABORT_ERR' })
  })
})

describe('a dataset on this machine', () => {
  const config: PythonTorchDatasetConfig = {
    root: '/data/set',
    dataset_id: 'dataset-1',
    dataset_view_id: 'view-1',
    source_uri: 'file:///data/set',
    format: 'npz',
    manifest_hash: 'manifest-1',
    preprocessing_hash: 'preprocessing-1',
    tokenizer_hash: 'tokenizer-1',
    sizing: sizing(20),
    planner: { target_microshard_bytes: 10, min_microshards: 1, max_microshards: 16 },
    microshards_per_batch: 2,
    metadata: { licence: 'CC0' },
  }

  it('is registered with its manifest hash and metadata in manifest and view, as a Local upstream', () => {
    assert.deepEqual(registration(config), {
      manifest: {
        dataset_id: 'dataset-1',
        source_uri: 'file:///data/set',
        format: 'npz',
        manifest_hash: 'manifest-1',
        metadata: { licence: 'CC0' },
      },
      view: {
        dataset_view_id: 'view-1',
        dataset_id: 'dataset-1',
        preprocessing_hash: 'preprocessing-1',
        tokenizer_hash: 'tokenizer-1',
        manifest_hash: 'manifest-1',
        metadata: { licence: 'CC0' },
      },
      upstream: { Local: { root: '/data/set' } },
    })
  })

  it('is planned by its own planner config', async () => {
    const { microshards, dataset_view } = await plan(config)
    assert.deepEqual(dataset_view, registration(config).view)
    assert.deepEqual(
      microshards.map((shard) => shard.microshard_id),
      [SHARD_0, SHARD_1],
    )
    await assert.rejects(
      plan({ ...config, planner: { ...config.planner, target_microshard_bytes: 0 } }),
      { code: 'ERR_DATA_INVALID_TARGET_MICROSHARD_BYTES' },
    )
  })
})
