/** Every record that the package reads from JSON, from bytes that anyone may have sent. */
import assert from 'node:assert/strict'
import { ConfigError } from '../../lib/index.js'
import { runs } from '../support/runs.js'
import { holds, outcome } from './holds.js'
import { hostileJson } from './hostile-json.js'
import { CODECS, samplesOf } from './samples.js'

describe('hostile bytes as a record', () => {
  it('are tried on all codecs', () => assert.ok(CODECS.length > 100, String(CODECS.length)))

  for (const [name, codec] of CODECS) {
    it(`${name}: are refused with ERR_CONFIG, or read to what is written and read back the same`, async function () {
      this.timeout(600_000)
      let accepted = 0
      const cases = runs(20)
      await holds(cases, hostileJson(samplesOf(codec)), (bytes) => {
        const read = outcome(
          () => codec.fromJson(bytes),
          (error) => error instanceof ConfigError,
        )
        if (read === undefined) return
        accepted += 1
        const written = codec.toJson(read.value)
        const again = codec.fromJson(written)
        assert.deepEqual(again, read.value)
        assert.equal(codec.toJson(again), written)
        assert.deepEqual(codec.toCbor(again), codec.toCbor(read.value))
      })
      // Of no use unless both happen.
      assert.ok(accepted > 0, `accepted ${accepted} of ${cases}`)
    })
  }
})
