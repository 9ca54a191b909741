/** Fetching an artifact from several sources: what is asked, what is believed, what is kept. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import fc from 'fast-check'
import { AbortError } from '../../lib/errors.js'
import type { ArtifactDescriptor, ChunkDescriptor } from '../../lib/schema/index.js'
import {
  ArtifactRootHashMismatchError,
  ChunkSourcesExhaustedError,
  chunkingScheme,
  fetchArtifact,
  FsArtifactStore,
  InvalidDescriptorError,
  type ChunkSource,
  type FetchProgress,
} from '../../lib/store/index.js'
import { forged, removeFolder, SERVE_HEAD, temporaryFolder } from './support.js'

describe('fetching an artifact', () => {
  let folder: string
  let origin: FsArtifactStore
  let store: FsArtifactStore
  let bytes: Buffer
  let artifact: ArtifactDescriptor

  beforeEach(async () => {
    folder = await temporaryFolder()
    origin = new FsArtifactStore(join(folder, 'origin'), { durability: 'none' })
    store = new FsArtifactStore(join(folder, 'store'), { durability: 'none' })
    bytes = Buffer.concat(
      Array.from({ length: 400 }, (_, i) => createHash('sha256').update(`${i}`).digest()),
    )
    artifact = await origin.storeArtifactBytes(SERVE_HEAD, bytes, chunkingScheme(256))
  })

  afterEach(() => removeFolder(folder))

  /** A source that has all chunks; counts what it is asked. */
  function source(name: string, change: Partial<ChunkSource> = {}) {
    const asked: string[] = []
    const fetchChunk = change.fetchChunk ?? ((_artifact, chunk) => origin.loadChunkBytes(chunk))
    const counting: ChunkSource = {
      name,
      ...change,
      fetchChunk: (of, chunk, signal) => {
        asked.push(chunk.chunk_id)
        return fetchChunk(of, chunk, signal)
      },
    }
    return Object.assign(counting, { asked })
  }

  async function assertWhole(): Promise<void> {
    const found = await store.materializeArtifactBytes(artifact)
    assert.ok(bytes.equals(found))
    assert.ok((await store.pinnedArtifacts()).has(artifact.artifact_id))
  }

  it('asks each of several sources for other chunks, and reports what each gave', async () => {
    const sources = ['a', 'b', 'c'].map((name) =>
      source(name, {
        concurrency: 2,
        fetchChunk: async (_artifact, chunk) => {
          await setTimeout(2)
          return origin.loadChunkBytes(chunk)
        },
      }),
    )
    const progress: FetchProgress[] = []
    const report = await fetchArtifact(store, artifact, sources, {
      onProgress: (now) => progress.push(now),
    })
    await assertWhole()
    assert.equal(report.fetchedBytes, bytes.length)
    assert.equal(
      report.sources.reduce((sum, { chunks }) => sum + chunks, 0),
      artifact.chunks.length,
    )
    for (const { chunks, bytesPerSecond } of report.sources) {
      assert.ok(chunks > 10 && bytesPerSecond > 0, JSON.stringify(report.sources))
    }
    assert.equal(progress.length, artifact.chunks.length)
    const last = progress.at(-1)!
    assert.deepEqual([last.bytes, last.chunks], [last.totalBytes, last.totalChunks])
    assert.equal(last.secondsLeft, 0)
    for (const [i, now] of progress.entries())
      assert.ok(i === 0 || now.bytes > progress[i - 1]!.bytes)
  })

  it('takes most from the fastest source', async () => {
    const paced = (name: string, milliseconds: number) =>
      source(name, {
        fetchChunk: async (_artifact, chunk) => {
          await setTimeout(milliseconds)
          return origin.loadChunkBytes(chunk)
        },
      })
    const { sources } = await fetchArtifact(store, artifact, [paced('slow', 60), paced('fast', 1)])
    await assertWhole()
    assert.ok(sources[1]!.chunks > 3 * sources[0]!.chunks, JSON.stringify(sources))
  })

  it('does not wait for a source that hangs, where another has the chunk', async () => {
    const hanging = source('hangs', { fetchChunk: () => new Promise(() => undefined) })
    await fetchArtifact(store, artifact, [hanging, source('works')])
    await assertWhole()
    assert.equal(hanging.asked.length, 1)
  })

  it('resumes where it was: what is there is not asked for again', async () => {
    const half = source('half', {
      fetchChunk: (_artifact, chunk) =>
        chunk.offset_bytes < bytes.length / 2
          ? origin.loadChunkBytes(chunk)
          : Promise.resolve(null),
    })
    await assert.rejects(
      fetchArtifact(store, artifact, [half]),
      (error: ChunkSourcesExhaustedError) => {
        assert.ok(error instanceof ChunkSourcesExhaustedError)
        assert.equal(error.missingChunks, artifact.chunks.length / 2)
        assert.deepEqual(error.reasons, ['half: it has no more'])
        return true
      },
    )
    const rest = source('rest')
    const report = await fetchArtifact(store, artifact, [rest])
    await assertWhole()
    assert.equal(rest.asked.length, artifact.chunks.length / 2)
    assert.equal(report.fetchedBytes, bytes.length / 2)
    const idle = source('idle')
    await fetchArtifact(store, artifact, [idle])
    assert.deepEqual(idle.asked, [])
  })

  it('replaces a chunk that the disk has damaged', async () => {
    await store.storeChunkBytes(
      artifact.chunks[3]!,
      await origin.loadChunkBytes(artifact.chunks[3]!),
    )
    const path = store.chunkPath(artifact.chunks[3]!.chunk_id)
    const damaged = await readFile(path)
    damaged[7]! ^= 1
    await writeFile(path, damaged)
    const only = source('only')
    await fetchArtifact(store, artifact, [only])
    await assertWhole()
    assert.equal(only.asked.length, artifact.chunks.length)
  })

  const lies: Record<string, (chunk: ChunkDescriptor) => Promise<Uint8Array>> = {
    'other bytes': (chunk) => Promise.resolve(Buffer.alloc(chunk.length_bytes)),
    'too few bytes': async (chunk) => (await origin.loadChunkBytes(chunk)).subarray(1),
    'too many bytes': (chunk) => Promise.resolve(Buffer.alloc(chunk.length_bytes * 1000)),
    'no byte': () => Promise.resolve(new Uint8Array()),
    'another chunk': () => origin.loadChunkBytes(artifact.chunks[1]!),
  }
  for (const [what, lie] of Object.entries(lies)) {
    it(`asks a source that sends ${what} no more, and takes the chunk from another`, async () => {
      const liar = source('liar', {
        fetchChunk: (_artifact, chunk) =>
          chunk.offset_bytes === 0 ? lie(chunk) : origin.loadChunkBytes(chunk),
      })
      const { sources } = await fetchArtifact(store, artifact, [liar, source('honest')])
      await assertWhole()
      assert.deepEqual([sources[0]!.lied, sources[1]!.lied], [true, false])
      assert.match(sources[0]!.givenUp ?? '', /mismatch/)
      assert.equal(liar.asked.length, 1)
    })
  }

  it('asks a source that fails again after a pause, and gives it up at last', async () => {
    let failures = 0
    const flaky = source('flaky', {
      fetchChunk: (_artifact, chunk) => {
        failures += 1
        return failures % 3 === 0 ? origin.loadChunkBytes(chunk) : Promise.reject(new Error('busy'))
      },
    })
    artifact = await origin.storeArtifactBytes(SERVE_HEAD, bytes, chunkingScheme(4096))
    const { sources } = await fetchArtifact(store, artifact, [flaky])
    await assertWhole()
    assert.equal(sources[0]!.failures, 8)
    assert.equal(sources[0]!.givenUp, undefined)
    const broken = source('broken', { fetchChunk: () => Promise.reject(new Error('gone')) })
    const other = await origin.storeArtifactBytes(SERVE_HEAD, bytes.subarray(1))
    await assert.rejects(fetchArtifact(store, other, [broken]), {
      code: 'ERR_CHECKPOINT_SOURCES_EXHAUSTED',
      reasons: ['broken: gone'],
    })
    assert.equal(broken.asked.length, 6)
  })

  it('fails at once without a source, and asks for nothing by a descriptor that lies', async () => {
    await assert.rejects(fetchArtifact(store, artifact, []), /there was no source/)
    const asked = source('asked')
    const renamed = { ...artifact, artifact_id: artifact.chunks[0]!.chunk_id as string }
    await assert.rejects(fetchArtifact(store, renamed, [asked]), InvalidDescriptorError)
    const otherRoot = forged(artifact, { root_hash: artifact.chunks[0]!.chunk_hash })
    await assert.rejects(
      fetchArtifact(store, otherRoot, [source('all')]),
      ArtifactRootHashMismatchError,
    )
    assert.deepEqual(asked.asked, [])
  })

  it('ends with its signal, while sources keep it waiting', async () => {
    const controller = new AbortController()
    const slow = source('slow', { concurrency: 3, fetchChunk: () => new Promise(() => undefined) })
    const fetching = fetchArtifact(store, artifact, [slow], { signal: controller.signal })
    await setTimeout(20)
    controller.abort()
    await assert.rejects(fetching, AbortError)
    await assert.rejects(
      fetchArtifact(store, artifact, [slow], { signal: controller.signal }),
      AbortError,
    )
  })

  it('comes to the same bytes whatever sources do, as long as one of them is honest', async function () {
    this.timeout(60_000)
    const behaviour = fc.constantFrom('honest', 'absent', 'lying', 'failing', 'mixed')
    await fc.assert(
      fc.asyncProperty(
        fc.array(behaviour, { maxLength: 4 }),
        fc.integer({ min: 1, max: 5 }),
        async (kinds, concurrency) => {
          const into = new FsArtifactStore(await temporaryFolder(), { durability: 'none' })
          let turn = 0
          const act = async (kind: string, chunk: ChunkDescriptor): Promise<Uint8Array | null> => {
            if (kind === 'absent') return null
            if (kind === 'lying') return Buffer.alloc(chunk.length_bytes)
            if (kind === 'failing') throw new Error('failing')
            if (kind === 'mixed') return act(['honest', 'absent', 'failing'][turn++ % 3]!, chunk)
            return origin.loadChunkBytes(chunk)
          }
          const sources = ['honest', ...kinds].map((kind, i) =>
            source(`${i} ${kind}`, {
              concurrency,
              fetchChunk: (_artifact, chunk) => act(kind, chunk),
            }),
          )
          await fetchArtifact(into, artifact, sources)
          assert.ok(bytes.equals(await into.materializeArtifactBytes(artifact)))
          await removeFolder(into.root)
        },
      ),
      { numRuns: 25 },
    )
  })
})
