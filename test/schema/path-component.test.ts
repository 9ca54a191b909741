import assert from 'node:assert/strict'
import { basename, join } from 'node:path'

import fc from 'fast-check'

import { ConfigError } from '../../lib/errors.js'
import { pathComponent } from '../../lib/schema/index.js'
import { texts } from './support/arbitraries.js'
import { runs } from '../support/runs.js'

const HASHED = /^__burn_p2p_id_[0-9a-f]{64}$/

describe('path components', () => {
  for (const id of ['a', 'head-1', 'exp-1_peer.1', '...', '.hidden', '-', 'x'.repeat(256)]) {
    it(`keeps ${id.length > 20 ? '256 bytes' : `"${id}"`} as it is`, () =>
      assert.equal(pathComponent(id), id))
  }

  it('hashes ../escape to the known name', () => {
    assert.equal(
      pathComponent('../escape'),
      '__burn_p2p_id_1ba7343c47dc442de7dec43a995deb9a7b62234ecca16d7c6f597b5155bd85b1',
    )
  })

  for (const id of [
    '',
    '.',
    '..',
    'a/b',
    'a\\b',
    'a\0b',
    'a\n',
    'C:',
    'é',
    ' a',
    'a ',
    'x'.repeat(257),
    'x'.repeat(300),
    '/etc/passwd',
    '%2e%2e',
  ]) {
    it(`hashes ${JSON.stringify(id.slice(0, 12))} of ${id.length} characters`, () =>
      assert.match(pathComponent(id), HASHED))
  }

  it('refuses an id that has no UTF-8', () => {
    assert.throws(() => pathComponent('\ud800'), ConfigError)
  })

  it('never leaves the folder it is joined to, whatever the id', () => {
    const ids = fc.oneof(
      texts,
      fc.string({ unit: fc.constantFrom('.', '/', '\\', '\0', 'a', '-') }),
    )
    fc.assert(
      fc.property(ids, (id) => {
        const name = pathComponent(id)
        assert.match(name, /^[A-Za-z0-9._-]{1,256}$/)
        assert.equal(join('/store', name), `/store/${name}`)
        assert.equal(basename(name), name)
      }),
      { numRuns: runs(1000) },
    )
  })
})
