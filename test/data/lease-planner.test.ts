import assert from 'node:assert/strict'

import fc from 'fast-check'

import {
  LeaseCache,
  LeasePlanner,
  MicroShardPlanner,
  type PartialLeasePlannerConfig,
} from '../../lib/data/index.js'
import { leaseRankingScore, type MicroShard } from '../../lib/schema/index.js'
import { request, shard, SHARD_0, SHARD_1, shards, sizing, view } from './support/records.js'

/** Spec planning#leases, said again in exact integers and with the codecs of lib/schema. */
function selectPlainly(
  config: Required<PartialLeasePlannerConfig>,
  peer: string,
  budget: number,
  all: readonly MicroShard[],
): { taken: MicroShard[]; work: bigint } {
  const model = config.cost_model
  const largest = (...values: bigint[]) => values.reduce((a, b) => (a > b ? a : b))
  const units = (estimate: number, perUnit: number | undefined) => {
    const divisor = largest(BigInt(perUnit ?? 0), 1n)
    return (largest(BigInt(estimate), 1n) + divisor - 1n) / divisor
  }
  const cost = (one: MicroShard) =>
    largest(
      units(one.estimated_tokens, model.tokens_per_work_unit),
      units(one.estimated_examples, model.examples_per_work_unit),
      units(one.estimated_bytes, model.bytes_per_work_unit),
      BigInt(model.minimum_work_units ?? 0),
      1n,
    )
  const ranked = all
    .map((one) => ({ one, score: leaseRankingScore(peer, one.microshard_id) }))
    .sort((a, b) => {
      if (a.score !== b.score) return a.score > b.score ? -1 : 1
      return a.one.ordinal - b.one.ordinal
    })
  const taken: MicroShard[] = []
  let work = 0n
  for (const { one } of ranked) {
    if (taken.length === config.max_microshards_per_lease) break
    if (taken.length === 0 || work + cost(one) <= BigInt(budget)) {
      taken.push(one)
      work += cost(one)
    }
  }
  return { taken, work }
}

const configs = fc.record({
  lease_duration_seconds: fc.integer({ min: 1, max: 1000 }),
  max_microshards_per_lease: fc.oneof(
    fc.integer({ min: 1, max: 10 }),
    fc.constant(Number.MAX_SAFE_INTEGER),
  ),
  cost_model: fc.record({
    tokens_per_work_unit: fc.constantFrom(0, 1, 1024),
    examples_per_work_unit: fc.constantFrom(0, 1, 16),
    bytes_per_work_unit: fc.constantFrom(0, 1, 262_144),
    minimum_work_units: fc.constantFrom(0, 1, 5, 100),
  }),
})

describe('the lease planner', () => {
  it('gives the known lease of spec formats#golden-vectors', async () => {
    const planner = new MicroShardPlanner({ target_microshard_bytes: 10 })
    const { microshards } = await planner.plan(view(), sizing(20))
    const { lease, selection } = await new LeasePlanner().planLease(request, microshards)
    assert.deepEqual(lease, {
      ...request,
      lease_id: '1220fa744dc83ca816e6a84ce9864b0e88aa9f9ada7aaf878d3267b4ff95f48c2882',
      expires_at: '2026-01-02T03:09:05Z',
      microshards: [SHARD_0, SHARD_1],
      assignment_hash: '1220b2fb6adc1929fce5389f452aeeebd4001813d70d558572341c6ebd0ed41ed5c9',
    })
    assert.deepEqual(selection, {
      microshards,
      budget_work_units: 64,
      estimated_work_units: 2,
      estimated_examples: 20,
      estimated_tokens: 20,
      estimated_bytes: 20,
    })
  })

  it('has the defaults of spec planning#leases, also for a part of the cost model', () => {
    const defaults = {
      lease_duration_seconds: 300,
      max_microshards_per_lease: 128,
      cost_model: {
        tokens_per_work_unit: 1024,
        examples_per_work_unit: 16,
        bytes_per_work_unit: 262_144,
        minimum_work_units: 1,
      },
    }
    assert.deepEqual(new LeasePlanner().config, defaults)
    assert.deepEqual(new LeasePlanner({ cost_model: { minimum_work_units: 3 } }).config, {
      ...defaults,
      cost_model: { ...defaults.cost_model, minimum_work_units: 3 },
    })
  })

  it('selects what a plain restatement of spec planning#leases selects', () =>
    fc.assert(
      fc.asyncProperty(
        configs,
        fc.string({ unit: 'binary' }),
        fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 2 ** 50 })),
        shards,
        async (config, peer, budget, all) => {
          const selection = await new LeasePlanner(config).selectMicroshards(peer, budget, all)
          const plain = selectPlainly(config, peer, budget, all)
          assert.deepEqual(selection.microshards, plain.taken)
          assert.equal(BigInt(selection.estimated_work_units), plain.work)
          assert.equal(selection.budget_work_units, budget)
          for (const measure of ['examples', 'tokens', 'bytes'] as const) {
            assert.equal(
              selection[`estimated_${measure}`],
              plain.taken.reduce((sum, one) => sum + one[`estimated_${measure}`], 0),
            )
          }
        },
      ),
      { numRuns: 300 },
    ))

  it('takes the first shard though it exceeds the budget, and nothing more', async () => {
    const all = [0, 1, 2].map((ordinal) => shard(ordinal, { estimated_tokens: 1024 * 50 }))
    const { microshards, estimated_work_units } = await new LeasePlanner().selectMicroshards(
      'peer-1',
      10,
      all,
    )
    assert.equal(microshards.length, 1)
    assert.equal(estimated_work_units, 50)
  })

  it('skips a shard that does not fit and takes a smaller one after it', async () => {
    const all = Array.from({ length: 12 }, (_, ordinal) => shard(ordinal))
    const planner = new LeasePlanner()
    const ranked = (await planner.selectMicroshards('peer-1', 100, all)).microshards
    const big = ranked[1]!.ordinal
    const sized = all.map((one) =>
      one.ordinal === big ? { ...one, estimated_tokens: 1024 * 100 } : one,
    )
    const { microshards } = await planner.selectMicroshards('peer-1', 5, sized)
    assert.deepEqual(
      microshards.map(({ ordinal }) => ordinal),
      [0, 2, 3, 4, 5].map((place) => ranked[place]!.ordinal),
    )
  })

  it('writes the grant and the end of a lease in canonical form', async () => {
    const { lease } = await new LeasePlanner({ lease_duration_seconds: 61 }).planLease(
      { ...request, granted_at: '2026-01-02T05:04:05.5000+02:00' },
      [shard(0)],
    )
    assert.equal(lease.granted_at, '2026-01-02T03:04:05.500Z')
    assert.equal(lease.expires_at, '2026-01-02T03:05:06.500Z')
  })

  it('refuses a budget that is not a positive integer', async () => {
    for (const budget of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
      await assert.rejects(new LeasePlanner().selectMicroshards('peer-1', budget, [shard(0)]), {
        code: 'ERR_DATA_INVALID_BUDGET',
        message: new RegExp(`A budget of ${budget} work units`),
      })
    }
  })

  it('refuses to lease from no microshards', async () => {
    await assert.rejects(new LeasePlanner().planLease(request, []), {
      code: 'ERR_DATA_NO_MICROSHARDS',
    })
  })

  it('refuses a duration that is not positive, and a lease of no microshard', () => {
    for (const lease_duration_seconds of [0, -300]) {
      assert.throws(() => new LeasePlanner({ lease_duration_seconds }), {
        code: 'ERR_DATA_INVALID_LEASE_DURATION',
        message: new RegExp(`is ${lease_duration_seconds};`),
      })
    }
    assert.throws(() => new LeasePlanner({ max_microshards_per_lease: 0 }), { code: 'ERR_CONFIG' })
    assert.throws(() => new LeasePlanner({ cost_model: { minimum_work_units: -1 } }), {
      code: 'ERR_CONFIG',
      message: /cost_model\.minimum_work_units/,
    })
  })

  it('refuses estimates whose sum no longer is exact', async () => {
    const huge = { estimated_bytes: Number.MAX_SAFE_INTEGER }
    const planner = new LeasePlanner({ cost_model: { bytes_per_work_unit: 2 ** 52 } })
    await assert.rejects(
      planner.selectMicroshards('peer-1', 64, [shard(0, huge), shard(1, huge)]),
      {
        code: 'ERR_DATA_SCHEMA',
        message: /estimated bytes .* at most 2\^53 - 1/,
      },
    )
  })

  it('stops when its signal fires', async () => {
    const signal = AbortSignal.abort()
    await assert.rejects(new LeasePlanner().planLease(request, [shard(0)], { signal }), {
      code: 'ABORT_ERR',
    })
  })
})

describe('the lease cache', () => {
  const lease = async (window_id: number, peer_id: string) =>
    (await new LeasePlanner().planLease({ ...request, window_id, peer_id }, [shard(0)])).lease

  it('keeps one lease per window and peer and hands back the one it replaces', async () => {
    const cache = new LeaseCache()
    const [first, second] = [await lease(1, 'a'), await lease(1, 'a')]
    assert.equal(cache.insert(first), undefined)
    assert.equal(cache.insert(second), first)
    assert.equal(cache.get(1, 'a'), second)
    assert.equal(cache.get(1, 'b'), undefined)
    assert.equal(cache.get(2, 'a'), undefined)
  })

  it('lists the leases of a window by peer', async () => {
    const cache = new LeaseCache()
    const [a, b, other] = [await lease(1, 'a'), await lease(1, 'b'), await lease(2, 'a')]
    for (const one of [b, other, a]) cache.insert(one)
    assert.deepEqual(cache.leasesForWindow(1), [a, b])
    assert.deepEqual(cache.leasesForWindow(3), [])
  })

  it('drops earlier windows and counts windows, not leases', async () => {
    const cache = new LeaseCache()
    for (const window of [1, 2, 3]) {
      for (const peer of ['a', 'b']) cache.insert(await lease(window, peer))
    }
    assert.equal(cache.evictBefore(3), 2)
    assert.equal(cache.evictBefore(3), 0)
    assert.equal(cache.get(2, 'a'), undefined)
    assert.equal(cache.leasesForWindow(3).length, 2)
  })
})
