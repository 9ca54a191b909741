import assert from 'node:assert/strict'
import fc from 'fast-check'

const SCRIPTS = new URL('../../../../scripts/', import.meta.url)

describe('what set-up reads', () => {
  describe('the range of Node.js versions', () => {
    let satisfies: (version: string, range: string) => boolean

    before(async () => {
      const module = (await import(new URL('setup/node-version.mjs', SCRIPTS).href)) as {
        satisfies: typeof satisfies
      }
      satisfies = module.satisfies
    })

    const range = '^20.19.0 || >=22.12.0'
    for (const version of ['20.19.0', '20.20.2', '22.12.0', '22.12.1', '24.0.0', '26.1.0']) {
      it(`allows ${version}`, () => assert.equal(satisfies(version, range), true))
    }
    for (const version of ['18.20.8', '20.18.3', '21.7.3', '22.11.9', '9.99.99']) {
      it(`refuses ${version}`, () => assert.equal(satisfies(version, range), false))
    }
    it('does not guess at a range that it cannot read', () => {
      assert.throws(() => satisfies('20.19.0', '~20.19'), /cannot read the version range "~20\.19"/)
    })
  })

  describe('the further options for pip', () => {
    let splitArguments: (text: string) => string[]

    before(async () => {
      const module = (await import(new URL('support/split-arguments.mjs', SCRIPTS).href)) as {
        splitArguments: typeof splitArguments
      }
      splitArguments = module.splitArguments
    })

    it('splits at blanks and honours quotes', () => {
      const text = ` --retries 0  --find-links "/my wheels/a" --x='b c'"d e"f ''`
      const words = ['--retries', '0', '--find-links', '/my wheels/a', '--x=b cd ef', '']
      assert.deepEqual(splitArguments(text), words)
      assert.deepEqual(splitArguments('  '), [])
    })

    it('gives back any words that were quoted', () => {
      const word = fc.string().filter((text) => !text.includes('"'))
      fc.assert(
        fc.property(fc.array(word), (words) => {
          const text = words.map((each) => `"${each}"`).join(' ')
          assert.deepEqual(splitArguments(text), words)
        }),
      )
    })
  })
})
