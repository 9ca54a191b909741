import assert from 'node:assert/strict'

import fc from 'fast-check'

import { manifestPieces, parseManifest } from '../../lib/data/manifest-json.js'
import { ShardFetchManifest } from '../../lib/schema/index.js'
import { runs } from '../support/runs.js'

const text = fc.string({ unit: 'binary' })
const manifests: fc.Arbitrary<ShardFetchManifest> = fc.record(
  {
    dataset_view_id: text,
    entries: fc.array(
      fc.record(
        {
          microshard_id: text,
          ordinal: fc.nat({ max: 0xffffffff }),
          locator: text,
          content_hash: text,
          bytes_len: fc.maxSafeNat(),
        },
        { noNullPrototype: true },
      ),
    ),
  },
  { noNullPrototype: true },
)

const parse = (json: string | Uint8Array, maxBytes = 1e9) =>
  parseManifest(Buffer.from(json), 'The fetch manifest of the test', { maxBytes })

describe('the JSON of a fetch manifest', () => {
  it('is written byte for byte as lib/schema writes it, and read back', () =>
    fc.assert(
      fc.asyncProperty(manifests, async (manifest) => {
        const json = Buffer.concat([...manifestPieces(manifest)])
        assert.equal(json.toString(), ShardFetchManifest.toJson(manifest, { pretty: true }))
        assert.deepEqual(await parse(json), manifest)
      }),
    ))

  it('is written in several pieces when it is long', () => {
    const entry = { microshard_id: 'm', ordinal: 0, locator: 'l', content_hash: 'h', bytes_len: 1 }
    const entries = Array.from({ length: 5000 }, (_, ordinal) => ({ ...entry, ordinal }))
    const manifest = { dataset_view_id: 'v', entries }
    const pieces = [...manifestPieces(manifest)]
    assert(pieces.length > 1 && pieces.every((piece) => piece.length < 300_000))
    assert.equal(
      Buffer.concat(pieces).toString(),
      ShardFetchManifest.toJson(manifest, { pretty: true }),
    )
  })

  it('has no -0: it is read as 0', async () => {
    const entry =
      '{"microshard_id":"m","ordinal":-0,"locator":"l","content_hash":"h","bytes_len":-0}'
    const { entries } = await parse(`{"dataset_view_id":"v","entries":[${entry}]}`)
    assert.deepEqual(
      entries.map(({ ordinal, bytes_len }) => [ordinal, bytes_len]),
      [[0, 0]],
    )
  })

  it('is accepted and refused as lib/schema does, whatever is in it', () => {
    const odd = fc.oneof(
      fc.constantFrom(null, true, -1, 0.5, 2 ** 32, 2 ** 53, 1e300, '', 'x', 7),
      fc.constant([]),
      fc.constant({}),
    )
    const field = (good: fc.Arbitrary<unknown>) => fc.oneof({ weight: 9, arbitrary: good }, odd)
    const nearly = fc.record(
      {
        dataset_view_id: field(text),
        entries: field(
          fc.array(
            fc.record(
              {
                microshard_id: field(text),
                ordinal: field(fc.nat()),
                locator: field(text),
                content_hash: field(text),
                bytes_len: field(fc.maxSafeNat()),
                unknown: odd,
              },
              { noNullPrototype: true },
            ),
            { maxLength: 3 },
          ),
        ),
      },
      { noNullPrototype: true, requiredKeys: ['entries'] },
    )
    return fc.assert(
      fc.asyncProperty(nearly, async (value) => {
        const json = JSON.stringify(value)
        let expected: ShardFetchManifest | undefined
        try {
          expected = ShardFetchManifest.fromJson(json)
        } catch {
          await assert.rejects(parse(json), { code: 'ERR_DATA_SCHEMA' })
          return
        }
        assert.deepEqual(await parse(json), expected)
      }),
      { numRuns: runs(500) },
    )
  })

  it('is refused with the place and the value of what is wrong', async () => {
    const refused = async (json: string | Uint8Array, message: RegExp) =>
      assert.rejects(parse(json), { code: 'ERR_DATA_SCHEMA', message })
    await refused('{"dataset_view_id":"v"}', /of the test is unusable: entries must be an array/)
    await refused(
      '{"dataset_view_id":"v","entries":[{"microshard_id":"m","ordinal":-1}]}',
      /entries\[0\]\.ordinal must be an integer from 0 to 2\^32 - 1, not "-1"/,
    )
    await refused(
      '{"dataset_view_id":"\\ud800","entries":[]}',
      /dataset_view_id must be .* Unicode/,
    )
    await refused('null', /dataset_view_id/)
    await refused('{', /JSON/)
    await refused(Uint8Array.of(0x22, 0xff, 0x22), /is unusable/)
    await refused('[['.repeat(1_000_000), /is unusable/)
    await assert.rejects(parse('{}', 1), { code: 'ERR_DATA_TOO_LARGE' })
  })

  it('takes no field from a prototype', async () => {
    const entry = '{"__proto__":{"microshard_id":"m","ordinal":0,"locator":"l"}}'
    await assert.rejects(parse(`{"dataset_view_id":"v","entries":[${entry}]}`), {
      message: /entries\[0\]\.microshard_id/,
    })
  })

  it('is read without keeping the event loop waiting for long', async () => {
    const entry = (ordinal: number) => ({
      microshard_id: `1220${String(ordinal).padStart(64, '0')}`,
      ordinal,
      locator: `${ordinal}.bin`,
      content_hash: `1220${String(ordinal).padStart(64, 'a')}`,
      bytes_len: 64 * 1024 * 1024,
    })
    const entries = Array.from({ length: 100_000 }, (_, ordinal) => entry(ordinal))
    const json = Buffer.concat([...manifestPieces({ dataset_view_id: 'v', entries })])
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    try {
      const manifest = await parse(json)
      assert.equal(manifest.entries.length, 100_000)
    } finally {
      clearInterval(timer)
    }
    assert(turns >= 3, `${turns} turns of the event loop`)
  })
})
