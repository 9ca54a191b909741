import assert from 'node:assert/strict'
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import fc from 'fast-check'

import { chunkingScheme, FsArtifactStore } from '../../lib/store/index.js'
import { contentId, type ArtifactDescriptor } from '../../lib/schema/index.js'
import {
  filesBelow,
  makeOld,
  removeFolder,
  runElsewhere,
  SERVE_HEAD,
  serveHead,
  temporaryFolder,
} from './support.js'

describe('garbage collection', () => {
  let root = ''
  let store: FsArtifactStore

  beforeEach(async () => {
    root = await temporaryFolder()
    store = new FsArtifactStore(root, { durability: 'none' })
  })
  afterEach(() => removeFolder(root))

  const put = (bytes: string, headId: string | null = null): Promise<ArtifactDescriptor> =>
    store.storeArtifactReader(
      { ...SERVE_HEAD, head_id: headId },
      [Buffer.from(bytes)],
      chunkingScheme(4),
    )
  const complete = (artifact: ArtifactDescriptor) =>
    store.hasCompleteArtifact(artifact.artifact_id, { verify: true })

  it('keeps what is pinned by itself or through its head, and deletes the rest', async () => {
    const byHead = await put('kept by head', 'head-1')
    const byItself = await put('kept by itself')
    const loose = await put('kept by none', 'head-2')
    await store.pinHead('head-1')
    await store.pinArtifact(byItself.artifact_id)

    const report = await store.garbageCollect()
    assert.deepEqual(report.removed_manifests, [loose.artifact_id])
    // Its first chunks, "kept" and " by ", belong to the others too.
    assert.deepEqual(report.removed_chunks, [contentId(Buffer.from('none'))])
    assert.equal(report.removed_temp_files, 0)
    assert((await complete(byHead)) && (await complete(byItself)))
    assert.equal(await store.hasManifest(loose.artifact_id), false)

    assert(await store.unpinHead('head-1'))
    assert.deepEqual((await store.garbageCollect()).removed_manifests, [byHead.artifact_id])
    assert(await complete(byItself))
    assert(await store.unpinArtifact(byItself.artifact_id))
    await store.garbageCollect()
    assert.deepEqual([...(await filesBelow(root)).keys()], [])
  })

  it('has nothing to do in an empty store, or one that is not there', async () => {
    const nothing = { removed_manifests: [], removed_chunks: [], removed_temp_files: 0 }
    assert.deepEqual(await store.garbageCollect(), nothing)
    const none = new FsArtifactStore(join(root, 'none'))
    assert.deepEqual(await none.garbageCollect(), nothing)
    await assert.rejects(stat(none.root), { code: 'ENOENT' })
  })

  it('keeps what is pinned by an id that needed hashing as a file name', async () => {
    const headId = 'study/1: "the best" head'
    const byHead = await put('kept by a hashed head', headId)
    await store.pinHead(headId)
    await store.garbageCollect()
    assert(await complete(byHead))
    assert.deepEqual([...(await store.pinnedHeads())], [headId])
  })

  it('honours pins whose content was lost, as the reference does', async () => {
    const artifact = await put('kept', 'head-1')
    await writeFile(store.headPinPath('head-1'), '')
    await store.garbageCollect()
    assert(await complete(artifact))
    assert.deepEqual([...(await store.pinnedHeads())], ['head-1'])
  })

  it('agrees with a plain model for any artifacts and pins', async () => {
    const ids = fc.constantFrom<string[]>('a', 'b', 'c/d', '..')
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ bytes: fc.string({ maxLength: 12 }), head: fc.option(ids) }), {
          maxLength: 6,
        }),
        fc.uniqueArray(ids),
        fc.array(fc.nat(), { maxLength: 2 }),
        async (specs, pinnedHeads, picks) => {
          await removeFolder(root)
          const all = new Map<string, ArtifactDescriptor>()
          for (const { bytes, head } of specs) {
            const artifact = await put(bytes, head)
            all.set(artifact.artifact_id, artifact)
          }
          const artifacts = [...all.values()]
          const pinned = new Set(
            artifacts.length === 0 ? [] : picks.map((pick) => artifacts[pick % artifacts.length]!),
          )
          for (const id of pinnedHeads) await store.pinHead(id)
          for (const { artifact_id } of pinned) await store.pinArtifact(artifact_id)

          const report = await store.garbageCollect()
          const kept = artifacts.filter(
            (one) => pinned.has(one) || (one.head_id !== null && pinnedHeads.includes(one.head_id)),
          )
          const chunksOf = (some: readonly ArtifactDescriptor[]) =>
            new Set(some.flatMap(({ chunks }) => chunks.map(({ chunk_id }) => chunk_id)))
          const keptChunks = chunksOf(kept)
          assert.deepEqual(
            report.removed_manifests.toSorted(),
            artifacts
              .filter((one) => !kept.includes(one))
              .map(({ artifact_id }) => artifact_id)
              .sort(),
          )
          assert.deepEqual(
            [...report.removed_chunks],
            [...chunksOf(artifacts)].filter((id) => !keptChunks.has(id)).sort(),
          )
          for (const one of kept) assert(await complete(one))
        },
      ),
      { numRuns: 30 },
    )
  })

  it('cleans up what crashed writers left, ours and of the reference, and is never stopped by it', async () => {
    const artifact = await put('kept', 'head-1')
    await store.pinHead('head-1')
    const folders = [
      'artifacts/manifests',
      'artifacts/chunks',
      'artifacts/pins',
      'heads',
      'receipts',
    ]
    const leftOvers = folders.flatMap((folder) => [
      join(root, folder, '.torchbed-0123456789abcdef01234567.tmp'),
      join(root, folder, `${artifact.artifact_id}.json.tmp`),
    ])
    for (const path of leftOvers) await writeFile(path, '{"half": ')

    assert.equal((await store.garbageCollect()).removed_temp_files, 0, 'they may be in use')
    for (const path of leftOvers) await makeOld(path)
    assert.equal((await store.garbageCollect()).removed_temp_files, leftOvers.length)
    for (const path of leftOvers) await assert.rejects(stat(path), { code: 'ENOENT' })
    assert(await complete(artifact))
  })

  it('deletes nothing while a manifest cannot be read, and says which', async () => {
    const loose = await put('loose')
    const damaged = store.manifestPath('damaged')
    await writeFile(damaged, '{"artifact_id": "damaged"')
    await assert.rejects(store.garbageCollect(), {
      code: 'ERR_CHECKPOINT_INVALID_RECORD',
      path: damaged,
      message: /delete the file or store the record again/,
    })
    assert(await complete(loose))
    await writeFile(damaged, await readFile(store.manifestPath(loose.artifact_id)))
    await assert.rejects(store.garbageCollect(), { code: 'ERR_CHECKPOINT_INVALID_RECORD' })
    assert(await complete(loose))
    await rm(damaged)
    assert.deepEqual((await store.garbageCollect()).removed_manifests, [loose.artifact_id])
  })

  describe('beside a writer', () => {
    it('spares chunks that nothing names only where asked to, until they are old', async () => {
      const patient = new FsArtifactStore(root, { chunkGraceMs: 60_000 })
      const [first] = (await serveHead()).chunks
      await store.storeChunkBytes(first!, Buffer.from('abc'))
      assert.deepEqual((await patient.garbageCollect()).removed_chunks, [])
      await makeOld(store.chunkPath(first!.chunk_id))
      await store.storeChunkBytes(first!, Buffer.from('abc'))
      assert.deepEqual((await patient.garbageCollect()).removed_chunks, [], 'storing made it young')
      await makeOld(store.chunkPath(first!.chunk_id))
      assert.deepEqual((await patient.garbageCollect()).removed_chunks, [first!.chunk_id])

      await store.storeChunkBytes(first!, Buffer.from('abc'))
      assert.deepEqual((await store.garbageCollect()).removed_chunks, [first!.chunk_id])
    })

    it('never takes the chunks of a slow artifact, in another process, whatever their age, and takes all others', async () => {
      // Chunk "same" is one that was there, old, before.
      await put('same')
      const writer = ended(
        runElsewhere(`
        import { utimes } from 'node:fs/promises'
        import { setTimeout } from 'node:timers/promises'
        const store = new FsArtifactStore(${JSON.stringify(root)})
        async function* slowly() {
          for (const piece of ['same', 'new1', 'new2', 'new3', 'new4', 'new5']) {
            yield Buffer.from(piece)
            await setTimeout(150)
          }
        }
        const spec = { ...${JSON.stringify(SERVE_HEAD)}, head_id: 'slow' }
        const { artifact_id } = await store.storeArtifactReader(spec, slowly(), chunkingScheme(4), { pin: true })
        console.log(artifact_id)`),
      )
      // The writer is at work once its first new chunk is there.
      const firstNew: string = contentId(Buffer.from('new1'))
      const started = store.chunkPath(firstNew)
      while (writer.running && !(await exists(started))) await sleep(5)

      const removed = new Set<string>()
      let rounds = 0
      while (writer.running) {
        for (const name of await readdir(dirname(started))) {
          if (!name.endsWith('.chunk')) continue
          await makeOld(join(dirname(started), name)).catch(() => undefined)
        }
        await put(`own ${rounds % 7}`)
        for (const id of (await store.garbageCollect()).removed_chunks) removed.add(id)
        rounds++
      }
      const id = (await writer.result).trim()
      assert(rounds > 20, `only ${rounds} collections took place`)
      assert(await store.hasCompleteArtifact(id, { verify: true }))
      const ours = ['own ', ...Array.from({ length: 7 }, (_, index) => String(index))]
      assert.deepEqual(
        [...removed].sort(),
        ours.map((text): string => contentId(Buffer.from(text))).sort(),
      )
      assert.deepEqual(await readdir(join(root, 'artifacts', 'claims')), [])
    }).timeout(30_000)

    for (const [what, end] of [
      ['crashed', `process.kill(process.pid, 'SIGKILL')`],
      ['failed', `throw new Error('no more')`],
    ]) {
      it(`takes at once what a writer has left that ${what}, its temporary files too`, async () => {
        await assert.rejects(
          runElsewhere(`
            const store = new FsArtifactStore(${JSON.stringify(root)})
            async function* half() {
              yield Buffer.from('aaaabbbb')
              await new Promise((resolve) => setTimeout(resolve, 100))
              ${end}
              await new Promise(() => setInterval(() => {}, 1000))
            }
            await store.storeArtifactReader(${JSON.stringify(SERVE_HEAD)}, half(), chunkingScheme(4))`),
        )
        const files = [...(await filesBelow(root)).keys()]
        const claims = files.filter((name) => name.endsWith('.claim'))
        assert.equal(claims.length, end?.startsWith('process') === true ? 1 : 0)
        for (const claim of claims) {
          const temporary = `.torchbed-${basename(claim, '.claim')}.tmp`
          await writeFile(join(root, 'artifacts', 'chunks', temporary), 'half')
        }
        const report = await store.garbageCollect()
        assert.equal(report.removed_chunks.length, 2)
        assert.equal(report.removed_temp_files, claims.length)
        assert.equal((await filesBelow(root)).size, 0)
      })
    }

    it('believes a claim of another machine until it has not been renewed for two minutes', async () => {
      const artifact = await put('aaaa')
      const chunk_id = artifact.chunks[0]!.chunk_id
      const claim = join(root, 'artifacts', 'claims', '0123456789ab-4194304-17-00ff00ff00ff.claim')
      await writeFile(claim, `1000\n4 ${basename(store.chunkPath(chunk_id))}\n4 half-a-na`)
      assert.deepEqual((await store.garbageCollect()).removed_chunks, [])
      await makeOld(claim, 2 * 60 * 1000 + 1000)
      assert.deepEqual((await store.garbageCollect()).removed_chunks, [chunk_id])
      assert.equal((await filesBelow(root)).size, 0, 'the dead claim is deleted')
    })

    it('never takes an old chunk that a writer has just found in place', async () => {
      const writer = ended(
        runElsewhere(`
          const store = new FsArtifactStore(${JSON.stringify(root)})
          for (let round = 0; round < 150; round++) {
            const bytes = Buffer.from('shared!!' + (round % 3))
            const artifact = await store.storeArtifactReader(
              ${JSON.stringify(SERVE_HEAD)}, [bytes], chunkingScheme(4), { pin: true },
            )
            if (!(await store.hasCompleteArtifact(artifact.artifact_id, { verify: true })))
              throw new Error('incomplete in round ' + round)
            await store.unpinArtifact(artifact.artifact_id)
          }
          console.log('done')`),
      )
      const collect = async () => {
        const collector = new FsArtifactStore(root)
        let removed = 0
        while (writer.running) removed += (await collector.garbageCollect()).removed_chunks.length
        return removed
      }
      const removed = await Promise.all([collect(), collect()])
      assert.equal(await writer.result, 'done\n')
      assert(removed[0] + removed[1] > 10, 'the collectors had hardly anything to take')
    }).timeout(30_000)
  })
})

/** A promise, and whether it is still pending. */
function ended<T>(promise: Promise<T>): { running: boolean; readonly result: Promise<T> } {
  const state = { running: true, result: promise }
  const end = () => {
    state.running = false
  }
  promise.then(end, end)
  return state
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
