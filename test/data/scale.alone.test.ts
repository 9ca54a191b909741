import assert from 'node:assert/strict'

import { fitExponent, measureAll, type Measurement } from '../../bench/lease-planning.js'
import { LeasePlanner, MicroShardPlanner, ShardAwareSampler } from '../../lib/data/index.js'
import { sizing, view } from './support/records.js'

describe('planning at scale', () => {
  it('fits a power law', () => {
    const points = [1, 10, 100].map((n) => [n, 3 * n ** 1.5] as const)
    assert(Math.abs(fitExponent(points) - 1.5) < 1e-9)
  })

  it('takes time about linear in the number of microshards', async () => {
    // Other load on the machine only ever adds time, so the least of several sweeps counts.
    const sweeps: Measurement[][] = []
    let exponents: Record<'planMs' | 'selectMs', number>
    do {
      sweeps.push(await measureAll(100_000))
      const best = (step: 'planMs' | 'selectMs') =>
        [1000, 10_000, 100_000].map((microshards, index) => {
          const measured = sweeps.map((sweep) => sweep[index]!)
          assert(measured.every((one) => one.microshards === microshards))
          return [microshards, Math.min(...measured.map((one) => one[step]))] as const
        })
      exponents = { planMs: fitExponent(best('planMs')), selectMs: fitExponent(best('selectMs')) }
    } while (Math.max(...Object.values(exponents)) >= 1.3 && sweeps.length < 5)
    for (const [step, exponent] of Object.entries(exponents)) {
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
