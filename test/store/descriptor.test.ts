import assert from 'node:assert/strict'
import { Readable } from 'node:stream'

import fc from 'fast-check'

import {
  buildArtifactDescriptor,
  checkArtifactDescriptor,
  checkChunkDescriptor,
  chunkingScheme,
  DEFAULT_CHUNK_SIZE_BYTES,
  MAX_CHUNK_BYTES,
  MAX_CHUNK_COUNT,
  type ArtifactBuildSpec,
} from '../../lib/store/index.js'
import { ArtifactDescriptor, contentId, type ChunkDescriptor } from '../../lib/schema/index.js'
import { ABC, forged, SERVE_HEAD, serveHead } from './support.js'
import { runs } from '../support/runs.js'

describe('the descriptor of an artifact', () => {
  it('is that of the golden vector with three chunks (spec formats#golden-vectors)', async () => {
    const descriptor = await serveHead()
    assert.equal(
      descriptor.artifact_id,
      '122095e5f41f4751db3bcd224af428c8a57cbc9f5ebb0732008c08636718bf740d41',
    )
    assert.equal(
      descriptor.root_hash,
      '12209c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab',
    )
    assert.deepEqual(
      descriptor.chunks.map(({ offset_bytes, length_bytes }) => [offset_bytes, length_bytes]),
      [
        [0, 3],
        [3, 3],
        [6, 2],
      ],
    )
    assert.equal(descriptor.chunks[0]?.chunk_hash, ABC)
    assert.equal(descriptor.bytes_len, 8)
    checkArtifactDescriptor(descriptor)
  })

  it('is that of the golden vector without a byte (spec formats#golden-vectors)', async () => {
    const spec: ArtifactBuildSpec = {
      kind: 'DeltaPack',
      base_head_id: 'head-0',
      precision: { Custom: 'fp8' },
      model_schema_hash: 'schema',
      record_format: 'python-torch-safetensors',
    }
    for (const source of [new Uint8Array(), [], Readable.from([])]) {
      const descriptor = await buildArtifactDescriptor(spec, source)
      assert.equal(
        descriptor.artifact_id,
        '1220b2c633668d191d299fd030319d5fcf5b82b8a7b6141598af29ac52833d39588e',
      )
      assert.deepEqual(descriptor.chunks, [])
      checkArtifactDescriptor(descriptor)
    }
  })

  it('depends on the bytes alone, not on the pieces they come in', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 12 }),
        fc.integer({ min: 1, max: 50 }),
        async (pieces, chunkSize) => {
          const bytes = Buffer.concat(pieces)
          const chunking = chunkingScheme(chunkSize)
          const whole = await buildArtifactDescriptor(SERVE_HEAD, bytes, chunking)
          const cut = await buildArtifactDescriptor(SERVE_HEAD, pieces, chunking)
          assert.deepEqual(cut, whole)
          assert.equal(whole.root_hash, contentId(bytes))
          assert.equal(whole.chunks.length, Math.ceil(bytes.length / chunkSize))
          for (const { chunk_hash, offset_bytes, length_bytes } of whole.chunks) {
            const part = bytes.subarray(offset_bytes, offset_bytes + length_bytes)
            assert.equal(chunk_hash, contentId(part))
          }
          checkArtifactDescriptor(whole)
        },
      ),
      { numRuns: runs(100) },
    )
  })

  it('is refused for a source that gives no bytes, or a spec that does not fit', async () => {
    const texts = Readable.from(['text'], { encoding: 'utf8' })
    await assert.rejects(buildArtifactDescriptor(SERVE_HEAD, texts), {
      code: 'ERR_CHECKPOINT_INVALID_SOURCE',
      message: /"text"/,
    })
    const spec = { ...SERVE_HEAD, precision: 'Fp64' } as unknown as ArtifactBuildSpec
    await assert.rejects(buildArtifactDescriptor(spec, []), { code: 'ERR_CONFIG' })
  })

  it('passes the error of the source on', async () => {
    const error = new Error('the peer hung up')
    function* source() {
      yield Buffer.from('abc')
      throw error
    }
    await assert.rejects(buildArtifactDescriptor(SERVE_HEAD, source()), error)
  })

  it('is not made for more chunks than a descriptor may list', async () => {
    const source = [Buffer.alloc(MAX_CHUNK_COUNT + 1)]
    await assert.rejects(buildArtifactDescriptor(SERVE_HEAD, source, chunkingScheme(1)), {
      code: 'ERR_CHECKPOINT_INVALID_CHUNK_SIZE',
      message: /more than 131072 chunks of 1 bytes; use a larger chunk size/,
    })
  })

  it('is no longer made when the signal fires, also while the source keeps it waiting', async () => {
    let closed = false
    async function* source() {
      try {
        yield Buffer.from('abc')
        await new Promise((resolve) => setTimeout(resolve, 300))
        yield Buffer.from('def')
      } finally {
        closed = true
      }
    }
    const reason = new Error('enough')
    const abort = new AbortController()
    setTimeout(() => abort.abort(reason), 20)
    const { signal } = abort
    await assert.rejects(buildArtifactDescriptor(SERVE_HEAD, source(), undefined, { signal }), {
      code: 'ABORT_ERR',
      cause: reason,
    })
    assert(!closed, 'it waited for the source')
    await new Promise((resolve) => setTimeout(resolve, 320))
    assert(closed, 'the source was not told to end')
  })
})

describe('a chunking scheme', () => {
  it('has chunks of 8 MiB by default', () => {
    assert.deepEqual(chunkingScheme(), { chunk_size_bytes: DEFAULT_CHUNK_SIZE_BYTES })
    assert.deepEqual(chunkingScheme(262144), { chunk_size_bytes: 262144 })
  })

  it('refuses a size that is zero, not whole, or beyond the limit', async () => {
    assert.throws(() => chunkingScheme(0), {
      code: 'ERR_CHECKPOINT_INVALID_CHUNK_SIZE',
      message: 'chunk size must be greater than zero',
    })
    for (const size of [-1, 1.5, NaN, Infinity, MAX_CHUNK_BYTES + 1, 2 ** 60]) {
      assert.throws(() => chunkingScheme(size), { code: 'ERR_CHECKPOINT_INVALID_CHUNK_SIZE' })
      const chunking = { chunk_size_bytes: size }
      await assert.rejects(buildArtifactDescriptor(SERVE_HEAD, [], chunking), {
        code: 'ERR_CHECKPOINT_INVALID_CHUNK_SIZE',
      })
    }
  })
})

describe('a descriptor from a peer', () => {
  const INVALID = 'ERR_CHECKPOINT_INVALID_DESCRIPTOR'
  const LENGTH = 'ERR_CHECKPOINT_ARTIFACT_LENGTH_MISMATCH'

  /** The golden artifact with changed chunks and an id that fits them. */
  const withChunks = async (
    change: (chunks: readonly ChunkDescriptor[]) => readonly ChunkDescriptor[],
  ) => {
    const honest = await serveHead()
    return forged(honest, { chunks: change(honest.chunks) })
  }
  const refuses = (descriptor: ArtifactDescriptor, code: string, message: RegExp) =>
    assert.throws(() => checkArtifactDescriptor(descriptor), { code, message })

  it('is refused when chunks overlap', async () => {
    const lie = await withChunks(([a, b, c]) => [a!, { ...b!, offset_bytes: 2 }, c!])
    refuses(lie, INVALID, /chunk 1 starts at byte 2 instead of 3/)
  })

  it('is refused when a chunk is missing', async () => {
    const inside = await withChunks(([a, , c]) => [a!, c!])
    refuses(inside, INVALID, /chunk 1 starts at byte 6 instead of 3/)
    refuses(await withChunks(([a, b]) => [a!, b!]), LENGTH, /expected 8 bytes, found 6 bytes/)
    refuses(await withChunks(() => []), LENGTH, /found 0 bytes/)
  })

  it('is refused when chunks are reordered', async () => {
    refuses(await withChunks(([a, b, c]) => [b!, a!, c!]), INVALID, /chunk 0 starts at byte 3/)
  })

  it('is refused when a chunk is listed twice', async () => {
    refuses(await withChunks(([a, b, c]) => [a!, a!, b!, c!]), INVALID, /chunk 1 starts at byte 0/)
    const again = await withChunks((chunks) => [...chunks, { ...chunks[0]!, offset_bytes: 8 }])
    refuses(again, LENGTH, /expected 8 bytes, found 11 bytes/)
  })

  it('is taken when two places have the same bytes, but not with two lengths for them', async () => {
    const twice = await serveHead('abcabcx')
    assert.equal(twice.chunks[0]?.chunk_id, twice.chunks[1]?.chunk_id)
    checkArtifactDescriptor(twice)
    const [a, b, c] = twice.chunks
    const chunks = [a!, { ...b!, length_bytes: 2 }, { ...c!, offset_bytes: 5, length_bytes: 2 }]
    refuses(forged(twice, { chunks }), INVALID, /another length/)
  })

  it('is refused when lengths or offsets are beyond their limits', async () => {
    for (const length of [0, -3, 1.5, NaN, MAX_CHUNK_BYTES + 1, 2 ** 53, Infinity]) {
      const honest = await serveHead('abc')
      const chunks = [{ ...honest.chunks[0]!, length_bytes: length }]
      refuses({ ...honest, chunks }, INVALID, /length/)
    }
    for (const offset of [-1, 0.5, NaN, 2 ** 53, 2 ** 60, Infinity]) {
      const honest = await serveHead()
      const chunks = [honest.chunks[0]!, { ...honest.chunks[1]!, offset_bytes: offset }]
      refuses({ ...honest, chunks }, INVALID, /offset/)
    }
    const honest = await serveHead()
    for (const length of [7, 9, -8, 8.5, NaN, 2 ** 60]) {
      refuses(forged(honest, { bytes_len: length }), LENGTH, /length mismatch/)
    }
  })

  it('is refused with offsets or lengths beyond 2^53 as JSON, before they could round', async () => {
    const json = ArtifactDescriptor.toJson(await serveHead())
    for (const [field, value] of [
      ['"offset_bytes":6', '9007199254740993'],
      ['"length_bytes":2', '18446744073709551615'],
      ['"bytes_len":8', '9007199254740992'],
    ] as const) {
      assert(json.includes(field))
      const lie = json.replace(field, field.replace(/\d+$/, value))
      assert.throws(() => ArtifactDescriptor.fromJson(lie), {
        code: 'ERR_CONFIG',
        message: new RegExp(value),
      })
    }
  })

  it('is refused when it lists more chunks than the limit', async () => {
    const honest = await serveHead('a', 1)
    const chunk = honest.chunks[0]!
    const chunks = Array.from({ length: MAX_CHUNK_COUNT + 1 }, (_, index) => ({
      ...chunk,
      offset_bytes: index,
    }))
    refuses({ ...honest, chunks, bytes_len: chunks.length }, INVALID, /exceed the limit of 131072/)
  })

  it('is refused when a chunk would take the place of another', async () => {
    const other = contentId(Buffer.from('victim'))
    const lie = await withChunks(([a, b, c]) => [a!, { ...b!, chunk_id: String(other) }, c!])
    refuses(lie, INVALID, /its id differs from its hash/)
    const chunk = { ...(await serveHead()).chunks[0]!, chunk_id: String(other) }
    assert.throws(() => checkChunkDescriptor(chunk), { code: INVALID })
  })

  it('is refused when a hash is none', async () => {
    const honest = await serveHead()
    for (const hash of ['', '../../etc/passwd', ABC.toUpperCase(), ABC.slice(0, -1), `${ABC}0`]) {
      const chunk = { ...honest.chunks[0]!, chunk_id: hash, chunk_hash: hash }
      assert.throws(() => checkChunkDescriptor(chunk), {
        code: INVALID,
        message: /not a content id/,
      })
      refuses(forged(honest, { root_hash: hash }), INVALID, /root hash/)
    }
  })

  it('is refused when its root hash is not that of its only chunk, or of no bytes', async () => {
    refuses(
      forged(await serveHead('abc'), { root_hash: contentId(Buffer.from('x')) }),
      INVALID,
      /only/,
    )
    refuses(forged(await serveHead(''), { root_hash: ABC }), INVALID, /no bytes/)
  })

  it('is refused when its id is not that of its contents', async () => {
    const honest = await serveHead()
    for (const lie of [
      { ...honest, artifact_id: ABC },
      { ...honest, head_id: 'other-head' },
      { ...honest, record_format: 'pickle' },
    ]) {
      refuses(lie, INVALID, /its contents give the id 1220/)
    }
    const kind = 'Backdoor' as unknown as 'FullHead'
    refuses({ ...honest, kind }, INVALID, /Backdoor/)
  })
})
