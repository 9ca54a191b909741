import assert from 'node:assert/strict'

import fc from 'fast-check'

import {
  artifactId,
  artifactIdAsync,
  ArtifactDescriptor,
  contentIdOf,
  contentIdOfAsync,
  parseJson,
} from '../../lib/schema/index.js'

const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constant('1220ab'))
const count = fc.nat()

const descriptors: fc.Arbitrary<ArtifactDescriptor> = fc.record(
  {
    artifact_id: text,
    kind: fc.constantFrom('FullHead', 'ServeHead'),
    head_id: fc.option(text),
    base_head_id: fc.option(text),
    precision: fc.constantFrom('Fp32', 'Fp16'),
    model_schema_hash: text,
    record_format: text,
    bytes_len: count,
    chunks: fc.array(
      fc.record({ chunk_id: text, offset_bytes: count, length_bytes: count, chunk_hash: text }),
      { maxLength: 40 },
    ),
    root_hash: text,
  },
  { noNullPrototype: true },
)

/** What is thrown, or what comes out. */
async function outcome(run: () => unknown): Promise<unknown> {
  try {
    return await run()
  } catch (error) {
    return { error: String(error), issues: (error as { issues?: unknown }).issues }
  }
}

describe('a codec that pauses', () => {
  it('writes and hashes as one that does not', () =>
    fc.assert(
      fc.asyncProperty(descriptors, async (descriptor) => {
        for (const pretty of [false, true]) {
          const pieces = await ArtifactDescriptor.toJsonPiecesAsync(descriptor, { pretty })
          assert.equal(
            Buffer.concat([...pieces]).toString(),
            ArtifactDescriptor.toJson(descriptor, { pretty }),
          )
        }
        assert.equal(await artifactIdAsync(descriptor), artifactId(descriptor))
        assert.equal(
          await contentIdOfAsync(ArtifactDescriptor, descriptor),
          contentIdOf(ArtifactDescriptor, descriptor),
        )
      }),
    ))

  it('reads and refuses as one that does not, with the same issues', () =>
    fc.assert(
      fc.asyncProperty(
        descriptors,
        fc.constantFrom('artifact_id', 'chunks', 'offset_bytes', 'chunk_hash', 'bytes_len'),
        fc.option(fc.jsonValue()),
        async (descriptor, field, other) => {
          const spoilt = JSON.stringify(descriptor, (key, value: unknown) =>
            key === field && other !== null ? other : value,
          ).replaceAll(/\\ud[89a-f]../g, '')
          const value = await outcome(() => parseJson(spoilt))
          assert.deepEqual(
            await outcome(() => ArtifactDescriptor.fromValueAsync(value)),
            await outcome(() => ArtifactDescriptor.fromValue(value)),
          )
        },
      ),
    ))

  it('names the item that cannot be written', async () => {
    const item = { chunk_id: 'c', offset_bytes: 0.5, length_bytes: 1, chunk_hash: 'h' }
    const descriptor = { ...fc.sample(descriptors, 1)[0]!, chunks: [item] }
    await assert.rejects(ArtifactDescriptor.toWireAsync(descriptor), {
      code: 'ERR_CONFIG',
      message: /chunks\[0\]\.offset_bytes/,
    })
  })

  it('stops at an abort', async () => {
    const [descriptor] = fc.sample(descriptors, 1)
    const signal = AbortSignal.abort()
    for (const stopped of [
      ArtifactDescriptor.toWireAsync(descriptor!, { signal }),
      ArtifactDescriptor.fromValueAsync(descriptor, { signal }),
      contentIdOfAsync(ArtifactDescriptor, descriptor!, { signal }),
    ])
      await assert.rejects(stopped, { code: 'ABORT_ERR' })
  })
})
