/**
 * Every state that a cut can leave a window in, made by hand from the store before and after, comes to
 * the same end as a run that was never cut. (test/cli kills real processes, at moments of their own choice.)
 */
import assert from 'node:assert/strict'
import { cp, readdir, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FsArtifactStore } from '../../lib/store/index.js'
import type { HeadDescriptor } from '../../lib/schema/index.js'
import { canonicalHeadPath, canonicalLineage } from '../../lib/store/canonical-head.js'
import { localTraining } from '../../lib/training/local-training.js'
import { idsOf, openStore, Run } from './support.js'

const PEERS = ['peer-1', 'peer-2']
const WINDOWS = 3

describe('a run that was cut off', () => {
  let run: Run
  /** The store before window 2 is promoted, its contributions published; and after. */
  let cutOff: string
  let promoted: string
  let end: HeadDescriptor
  let copies = 0

  before(async () => {
    run = await Run.make({ peers: PEERS })
    cutOff = join(run.folder, 'cut off')
    promoted = join(run.folder, 'promoted')
    let contributions = 0
    for await (const event of run.begin(WINDOWS)) {
      // While the event is looked at, nothing goes on.
      if (event.event === 'window') {
        if (++contributions === 2 * PEERS.length) await copy(run.folder, cutOff)
      } else if (event.event === 'promoted' && event.window === 2) await copy(run.folder, promoted)
    }
    end = await run.canonical()
  })
  after(() => run[Symbol.asyncDispose]())

  async function copy(from: string, to: string): Promise<void> {
    for (const name of ['store', 'peers']) {
      await cp(join(from, name), join(to, name), { recursive: true })
    }
  }

  /** Goes on in a folder to the last window, and compares with the run that was not cut. */
  async function comesToTheSameEnd(folder: string, resumesFrom: string | null): Promise<void> {
    const store = openStore(join(folder, 'store'))
    const { project, experiment } = run
    const parts = { project, experiment, store, peers: PEERS, peersFolder: join(folder, 'peers') }
    let first: string | null | undefined
    let last: HeadDescriptor | undefined
    for await (const event of localTraining(parts, WINDOWS)) {
      if (first === undefined) first = event.event === 'resumed' ? event.head.head_id : null
      if (event.event === 'promoted') last = event.promotion.head
    }
    assert.equal(first, resumesFrom)
    assert.ok(last)
    assert.deepEqual(last, { ...end, created_at: last.created_at })
    const steps = (await canonicalLineage(store, last)).map(({ global_step }) => global_step)
    assert.deepEqual(steps, [0, 1, 2, 3])
    assert.ok(await store.hasCompleteArtifact(last.artifact_id, { verify: true }))
    await holdsTheCanonicalArtifactAlone(store, last)
    assert.equal(await run.models(), 0n)
  }

  async function holdsTheCanonicalArtifactAlone(
    store: FsArtifactStore,
    { head_id, artifact_id }: HeadDescriptor,
  ): Promise<void> {
    assert.deepEqual(await idsOf(store.listManifests(), (it) => it.artifact_id), [artifact_id])
    assert.deepEqual(await store.pinnedHeads(), new Set([head_id]))
    const { chunks } = await store.loadManifest(artifact_id)
    const stored = await readdir(join(store.root, 'artifacts', 'chunks'))
    assert.deepEqual(stored.sort(), chunks.map(({ chunk_id }) => `${chunk_id}.chunk`).sort())
    const everything = await readdir(store.root, { recursive: true })
    assert.deepEqual(
      everything.filter((name) => name.endsWith('.tmp')),
      [],
    )
  }

  async function cut(make: (folder: string, store: FsArtifactStore) => Promise<void>) {
    const folder = join(run.folder, `copy-${++copies}`)
    await copy(cutOff, folder)
    await make(folder, openStore(join(folder, 'store')))
    return folder
  }

  const first = 'exp-merged-window-1'
  const second = 'exp-merged-window-2'
  const head = `exp-${PEERS[1]}-window-2`

  it('before a peer published its receipt does the window again', async () => {
    const folder = await cut(async (_, store) => {
      await rm(store.receiptPath(`exp-${PEERS[1]}-receipt-2`))
    })
    await comesToTheSameEnd(folder, first)
  })

  it('before a peer published its head does the window again', async () => {
    const folder = await cut(async (_, store) => {
      await rm(store.receiptPath(`exp-${PEERS[1]}-receipt-2`))
      await rm(store.headPath(head))
    })
    await comesToTheSameEnd(folder, first)
  })

  it('while a peer stored its artifact does the window again', async () => {
    const folder = await cut(async (_, store) => {
      const { artifact_id } = await store.loadHead(head)
      const { chunks } = await store.loadManifest(artifact_id)
      await rm(store.receiptPath(`exp-${PEERS[1]}-receipt-2`))
      await rm(store.headPath(head))
      await rm(store.manifestPath(artifact_id))
      for (const { chunk_id } of chunks) await truncate(store.chunkPath(chunk_id), 3)
      const temporary = join(store.root, 'artifacts', 'chunks', '.torchbed-0123.tmp')
      await writeFile(temporary, 'half')
      // Its name does not say whose it is, so that its age counts.
      await utimes(temporary, 0, 0)
    })
    await comesToTheSameEnd(folder, first)
  })

  it('while a peer fetched its shards fetches them again', async () => {
    const folder = await cut(async (at) => {
      const [peer] = PEERS
      const cache = join(at, 'peers', String(peer), 'datasets', 'zeros-view')
      const [shard, other] = (await readdir(cache)).filter((name) => name.endsWith('.bin'))
      assert.ok(shard !== undefined && other !== undefined)
      await truncate(join(cache, shard), 5)
      await rm(join(cache, other))
    })
    await comesToTheSameEnd(folder, first)
  })

  /** What promoting does, in this order; the cut is after any of it. */
  const promotion: [what: string, step: (store: FsArtifactStore) => Promise<void>][] = [
    ['nothing of the merge was stored', () => Promise.resolve()],
    [
      'its artifact was stored',
      async (store) => {
        const done = openStore(join(promoted, 'store'))
        const { artifact_id } = await done.loadHead(second)
        const descriptor = await done.loadManifest(artifact_id)
        for (const { chunk_id } of descriptor.chunks) {
          await cp(done.chunkPath(chunk_id), store.chunkPath(chunk_id))
        }
        await store.storeManifest(descriptor)
      },
    ],
    [
      'its head was stored',
      async (store) => {
        await store.storeHead(await openStore(join(promoted, 'store')).loadHead(second))
      },
    ],
    ['its head was pinned', (store) => store.pinHead(second)],
    [
      'its head was made canonical, the old one pinned still',
      (store) =>
        cp(canonicalHeadPath(openStore(join(promoted, 'store'))), canonicalHeadPath(store)),
    ],
    [
      'the old head was unpinned, its artifact there still',
      async (store) => {
        assert.ok(await store.unpinHead(first))
      },
    ],
  ]
  promotion.forEach(([what], index) => {
    const canonical = index < 4 ? first : second
    it(`in promoting, when ${what}, resumes from ${canonical}`, async () => {
      const folder = await cut(async (_, store) => {
        for (const [, step] of promotion.slice(0, index + 1)) await step(store)
      })
      await comesToTheSameEnd(folder, canonical)
    })
  })

  it('after the window was promoted continues with the next', async () => {
    const folder = join(run.folder, `copy-${++copies}`)
    await copy(promoted, folder)
    await comesToTheSameEnd(folder, second)
  })

  it('before its genesis became canonical begins anew', async () => {
    const folder = await cut(async (_, store) => {
      await rm(canonicalHeadPath(store))
    })
    await comesToTheSameEnd(folder, null)
  })

  it('after it was complete has nothing to do', async () => {
    const folder = join(run.folder, `copy-${++copies}`)
    await copy(run.folder, folder)
    const { project, experiment } = run
    const store = openStore(join(folder, 'store'))
    const parts = { project, experiment, store, peers: PEERS, peersFolder: join(folder, 'peers') }
    const kinds: string[] = []
    for await (const event of localTraining(parts, WINDOWS)) {
      kinds.push(event.event)
      if (event.event === 'resumed') {
        assert.deepEqual(event.head, end)
        assert.deepEqual(
          event.lineage.map(({ global_step }) => global_step),
          [0, 1, 2, 3],
        )
      }
    }
    assert.deepEqual(kinds, ['resumed'])
  })
})
