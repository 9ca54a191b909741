/** The numbers of a report do not depend on which peer was first. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { TrainHistory } from '../../lib/cli/train/history.js'
import type { Contribution } from '../../lib/training/trainer.js'
import type { HeadDescriptor } from '../../lib/schema/index.js'
import { Run } from '../training/support.js'

describe("a run's history", () => {
  let run: Run
  let contributions: Contribution[]
  let promoted: HeadDescriptor
  before(async () => {
    run = await Run.make({ peers: Array.from({ length: 5 }, (_, i) => `peer-${i + 1}`) })
    const log = await run.train(1)
    contributions = log.contributions()
    promoted = await run.canonical()
  })
  after(() => run[Symbol.asyncDispose]())

  function told(losses: readonly number[], weights: readonly number[], order: readonly number[]) {
    const history = new TrainHistory()
    for (const index of order) {
      const { head, receipt, ...rest } = contributions[index]!
      const metrics = { ...head.metrics, loss: losses[index]! }
      history.add({
        ...rest,
        head: { ...head, metrics },
        receipt: { ...receipt, accepted_weight: weights[index]! },
        metrics,
      })
    }
    history.promote(promoted)
    return { points: history.points, receipts: history.receipts }
  }

  it('has the same numbers to the last bit, in whatever order the peers ended', () => {
    const five = fc.array(fc.double({ min: 1e-9, max: 1e9, noNaN: true }), {
      minLength: 5,
      maxLength: 5,
    })
    const order = fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 })
    fc.assert(
      fc.property(five, five, order, (losses, weights, shuffled) => {
        assert.deepEqual(told(losses, weights, shuffled), told(losses, weights, [0, 1, 2, 3, 4]))
      }),
    )
  })

  it('has the loss that a resumed run reads back from the store', async () => {
    const history = new TrainHistory()
    for (const contribution of contributions) history.add(contribution)
    history.promote(promoted)
    const resumed = new TrainHistory()
    await resumed.resume(run.store, [promoted])
    assert.deepEqual(resumed.points, history.points)
    assert.ok(history.points[0]?.trainLoss !== null)
  })
})
