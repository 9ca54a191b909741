/** How much a contribution counts, and how good it is. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { qualityWeight, standardContributionWeight } from '../../lib/training/index.js'
import type { MetricValue } from '../../lib/schema/index.js'

const KEYS = [
  'tokens_processed',
  'accepted_tokens_or_samples',
  'examples_processed',
  'sample_count',
  'samples',
  'batch_count',
]

/** Values that say nothing about how much work was done. */
const USELESS: readonly MetricValue[] = [
  0n,
  0,
  -0,
  -1n,
  -0.5,
  NaN,
  Infinity,
  -Infinity,
  '64',
  '',
  true,
  false,
]

describe('the standard contribution weight', () => {
  for (const key of KEYS) {
    it(`is ${key} when that is all there is, integer or float`, () => {
      assert.equal(standardContributionWeight({ [key]: 64n, loss: 0.5 }), 64)
      assert.equal(standardContributionWeight({ [key]: 0.25 }), 0.25)
    })
  }

  it('is the first usable key in the order of spec project#contribution-weight, whatever the order of the metrics', () => {
    const value = fc.oneof(
      fc.constantFrom(...USELESS),
      fc.bigInt({ min: 1n, max: 2n ** 62n }),
      fc.double({ min: Number.MIN_VALUE, noNaN: true, noDefaultInfinity: true }),
    )
    const entries = fc.uniqueArray(fc.tuple(fc.constantFrom(...KEYS), value), {
      selector: ([key]) => key,
    })
    fc.assert(
      fc.property(entries, (metrics) => {
        const byKey = new Map(metrics)
        const expected = KEYS.map((key) => byKey.get(key)).find(
          (item) => item !== undefined && !USELESS.some((useless) => Object.is(useless, item)),
        )
        assert.equal(
          standardContributionWeight(Object.fromEntries(metrics)),
          expected === undefined ? null : Number(expected),
        )
      }),
    )
  })

  for (const value of USELESS) {
    const shown = Object.is(value, -0) ? '-0' : String(value)
    it(`passes over the ${typeof value} ${JSON.stringify(shown)}`, () => {
      assert.equal(standardContributionWeight({ tokens_processed: value, samples: 3n }), 3)
      assert.equal(standardContributionWeight({ batch_count: value }), null)
    })
  }

  it('is null without metrics, and takes none from a prototype', () => {
    assert.equal(standardContributionWeight({}), null)
    const inherited = Object.create({ samples: 3n }) as Record<string, MetricValue>
    assert.equal(standardContributionWeight(inherited), null)
  })
})

describe('the quality weight', () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true })

  it('is the formula of spec project#quality-weight for a loss', () => {
    assert.equal(qualityWeight({ loss: 0 }), 1)
    assert.equal(qualityWeight({ loss: 1 }), 0.5)
    assert.equal(qualityWeight({ loss: 3n }), 0.25)
    assert.equal(qualityWeight({ train_loss: 1 }), 0.5)
    assert.equal(qualityWeight({ loss: 1e9 }), 0.01)
  })

  it('never rises with the loss', () => {
    fc.assert(
      fc.property(fc.constantFrom('loss', 'train_loss'), finite, finite, (key, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        assert.ok(qualityWeight({ [key]: low }) >= qualityWeight({ [key]: high }))
      }),
    )
    assert.ok(qualityWeight({ loss: 0.4 }) > qualityWeight({ loss: 0.5 }))
  })

  it('never falls with accuracy or score', () => {
    fc.assert(
      fc.property(fc.constantFrom('accuracy', 'score'), finite, finite, (key, a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)]
        assert.ok(qualityWeight({ [key]: low }) <= qualityWeight({ [key]: high }))
      }),
    )
    assert.ok(qualityWeight({ accuracy: 0.9 }) > qualityWeight({ accuracy: 0.8 }))
    assert.ok(qualityWeight({ score: -2 }) < qualityWeight({ score: -1 }))
    assert.ok(qualityWeight({ score: -1 }) < qualityWeight({ score: 1 }))
  })

  it('lies in 0.01 to 1, whatever the metrics are', () => {
    const value = fc.oneof(fc.double(), fc.bigInt(), fc.boolean(), fc.string())
    const key = fc.constantFrom('loss', 'train_loss', 'score', 'accuracy', 'other')
    fc.assert(
      fc.property(fc.dictionary(key, value), (metrics) => {
        const weight = qualityWeight(metrics)
        assert.ok(weight >= 0.01 && weight <= 1, String(weight))
      }),
    )
  })

  it('is decided by loss, then train_loss, then score, then accuracy', () => {
    const all = { accuracy: 0, score: 0, train_loss: 9, loss: 1 }
    assert.equal(qualityWeight(all), 0.5)
    assert.equal(qualityWeight({ ...all, loss: 'none' }), 0.1)
    assert.equal(qualityWeight({ accuracy: 1, score: 0 }), 0.5)
  })

  it('is the lowest for a metric that is not finite', () => {
    for (const key of ['loss', 'train_loss', 'score', 'accuracy']) {
      for (const value of [NaN, Infinity, -Infinity]) {
        assert.equal(qualityWeight({ [key]: value }), 0.01)
      }
    }
  })

  it('is the lowest for an evaluation that failed, as a peer of the reference reports it', () => {
    assert.equal(qualityWeight({ python_error: 'ZeroDivisionError' }), 0.01)
    assert.equal(qualityWeight({ python_error: '', accuracy: 1 }), 0.01)
  })

  it('is 1 when nothing is known', () => {
    assert.equal(qualityWeight({}), 1)
    assert.equal(qualityWeight({ examples_processed: 10n }), 1)
  })
})
