/** A cut of the aborts that `npm run test:long` times, and how they are judged. */
import assert from 'node:assert/strict'
import { withTorch } from '../../support/workloads.js'
import {
  CELLS,
  percentile,
  problemsOf,
  type CellName,
  type Latencies,
} from '../../long/abort/cells.js'
import { withDigits } from '../../long/abort/data.js'
import { runAborts } from '../../long/abort/run.js'

const torch = withTorch ? describe : describe.skip

const WINDOWS = 20

torch('a training that is stopped again and again', () => {
  for (const [cell, { what }] of Object.entries(CELLS) as [CellName, { what: string }][]) {
    it(`ends soon each time, and the model trains on: ${what}`, () =>
      withDigits(async (data) => {
        const latencies = await runAborts(cell, WINDOWS, data)
        assert.equal(latencies.windows, WINDOWS)
        assert.deepEqual(problemsOf(latencies), [], JSON.stringify(latencies))
      }))
  }
})

describe('the judge of a training that is stopped', () => {
  const fine: Latencies = {
    ...{ cell: 'signal', windows: 200, missed: 0, changed: 190, loss: 0.1, accuracy: 0.9 },
    ...{ p50: 2, p99: 60, max: 400, timerLateP99: 10 },
  }

  it('has nothing to say when all is well', () => {
    assert.deepEqual(problemsOf(fine), [])
  })

  it('sees lateness, windows that were not stopped in training, and a model that is spoilt', () => {
    assert.deepEqual(problemsOf({ ...fine, p99: 60.1, missed: 1, accuracy: NaN }), [
      'the p99 is 60.1 ms, more than 60.0 ms',
      '1 of 200 windows were not stopped in training',
      'the model does not train on: its accuracy is NaN',
    ])
  })

  it('takes the nearest rank as a percentile', () => {
    const values = Array.from({ length: 200 }, (_, i) => 200 - i)
    assert.deepEqual([percentile(values, 0.5), percentile(values, 0.99)], [100, 198])
    assert.equal(percentile([7], 0.99), 7)
  })
})
