import assert from 'node:assert/strict'

import { fitExponent, measureAll } from '../../bench/lease-planning.js'
import { LeasePlanner, MicroShardPlanner, ShardAwareSampler } from '../../lib/data/index.js'
import { sizing, view } from './support/records.js'

describe('planning at scale', () => {
  it('fits a power law', () => {
    const points = [1, 10, 100].map((n) => [n, 3 * n ** 1.5] as const)
    assert(Math.abs(fitExponent(points) - 1.5) < 1e-9)
  })

  it('takes time about linear in the number of microshards', async () => {
    const all = await measureAll(100_000)
    assert.deepEqual(
      all.map((one) => one.microshards),
      [1000, 10_000, 100_000],
    )
    for (const step of ['planMs', 'selectMs'] as const) {
      const exponent = fitExponent(all.map((one) => [one.microshards, one[step]]))
      assert(exponent < 1.3, `${step} grows with exponent ${exponent}`)
    }
  })

  it('lets timers run meanwhile', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const turnsDuring = async <T>(work: Promise<T>): Promise<T> => {
      turns = 0
      const result = await work
      assert(turns >= 3, `${turns} turns of the event loop`)
      return result
    }
    try {
      const planner = new MicroShardPlanner({
        target_microshard_bytes: 1,
        max_microshards: 100_000,
      })
      const { microshards } = await turnsDuring(planner.plan(view(), sizing(100_000)))
      await turnsDuring(new LeasePlanner().selectMicroshards('peer-1', 64, microshards))
      const ids = microshards.map((shard) => shard.microshard_id)
      await turnsDuring(ShardAwareSampler.fromLease({ window_id: 1, microshards: ids }))
    } finally {
      clearInterval(timer)
    }
  })
})
