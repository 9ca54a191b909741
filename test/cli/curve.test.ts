/** The picture of a run. */
import assert from 'node:assert/strict'
import { lossAndAccuracyCurve } from '../../lib/cli/train/curve.js'

describe('the curve of a run', () => {
  it('has a point for each number that a window reported, and says which were not', () => {
    const curve = lossAndAccuracyCurve([
      { window: 0, trainLoss: null, evaluationLoss: 2, accuracy: null },
      { window: 1, trainLoss: 1, evaluationLoss: NaN, accuracy: null },
    ])
    assert.equal(curve.match(/<circle/g)?.length, 2)
    assert.match(curve, /no accuracy reported/)
    assert.doesNotMatch(curve, /NaN|Infinity|undefined/)
  })

  it('is drawn of a run of a hundred thousand windows, too', () => {
    const points = Array.from({ length: 100_000 }, (_, window) => ({
      ...{ window, trainLoss: 1 / (1 + window), evaluationLoss: null, accuracy: null },
    }))
    assert.equal(lossAndAccuracyCurve(points).match(/<circle/g)?.length, points.length)
  })
})
