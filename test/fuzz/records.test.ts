/** Every record that the package reads from JSON, from bytes that anyone may have sent. */
import assert from 'node:assert/strict'
import { ConfigError } from '../../lib/index.js'
import { runs } from '../support/runs.js'
import { holds, outcome } from './holds.js'
import { hostileJson } from './hostile-json.js'
import { CODECS, samplesOf } from './samples.js'

describe('hostile bytes as a record', () => {
  it('are tried on all codecs', () => assert.ok(CODECS.length > 100, String(CODECS.length)))

  const seen = { tried: 0, read: 0 }

  for (const [name, codec] of CODECS) {
    it(`${name}: are refused with ERR_CONFIG, or read to what is written and read back the same`, async function () {
      this.timeout(600_000)
      await holds(runs(20), hostileJson(samplesOf(codec)), (bytes) => {
        seen.tried += 1
        const read = outcome(
          () => codec.fromJson(bytes),
          (error) => error instanceof ConfigError,
        )
        if (read === undefined) return
        seen.read += 1
        const written = codec.toJson(read.value)
        const again = codec.fromJson(written)
        assert.deepEqual(again, read.value)
        assert.equal(codec.toJson(again), written)
        assert.deepEqual(codec.toCbor(again), codec.toCbor(read.value))
      })
    })
  }

  it('are read often enough, and refused often enough, for this to say something', () => {
    const share = seen.read / seen.tried
    assert.ok(share > 0.1 && share < 0.9, `${seen.read} of ${seen.tried} were read`)
  })
})
