/** Suggestions for misspelt names. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { closestName } from '../../lib/core/closest-name.js'

const known = ['workload_factory', 'workload_config', 'env', 'peers', 'windows']

describe('the closest name', () => {
  const cases = [
    ['workload_factroy', 'workload_factory', 'two letters swapped'],
    ['workloadConfig', 'workload_config', 'another way to write compounds'],
    ['PEERS', 'peers', 'capital letters'],
    ['peer', 'peers', 'a letter missing'],
    ['windowss', 'windows', 'a letter too many'],
    ['envv', 'env', 'a short name'],
    ['learning_rate', undefined, 'nothing like any name'],
    ['', undefined, 'no name at all'],
  ] as const
  for (const [name, expected, what] of cases) {
    it(`for ${what} (${JSON.stringify(name)}) is ${expected ?? 'none'}`, () => {
      assert.equal(closestName(name, known), expected)
    })
  }

  it('of a known name with one letter changed is that name, when all others are far', () => {
    const edit = fc.tuple(
      fc.constantFrom('workload_factory', 'windows'),
      fc.nat(),
      fc.constant('x'),
    )
    fc.assert(
      fc.property(edit, ([name, seed, letter]) => {
        const at = seed % name.length
        const changed = name.slice(0, at) + letter + name.slice(at + 1)
        assert.equal(closestName(changed, known), name)
      }),
    )
  })

  it('is one of the known names, or none, for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (name) => {
        const closest = closestName(name, known)
        assert.ok(closest === undefined || known.includes(closest))
      }),
    )
  })

  it('is not looked for when the name is long', () => {
    assert.equal(closestName('a'.repeat(10_000_000), known), undefined)
  })
})
