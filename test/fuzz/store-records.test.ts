/** The record files of a store, with anything in them. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ArtifactDescriptor, ContributionReceipt, HeadDescriptor } from '../../lib/schema/index.js'
import { CheckpointError, FsArtifactStore } from '../../lib/store/index.js'
import { runs } from '../support/runs.js'
import { holds } from './holds.js'
import { hostileJson } from './hostile-json.js'
import { samplesOf } from './samples.js'

let folder: string
let store: FsArtifactStore

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'torchbed-fuzz-'))
  store = new FsArtifactStore(folder, { durability: 'none' })
})
after(() => rm(folder, { recursive: true }))

const [headText] = samplesOf(HeadDescriptor)
const [receiptText] = samplesOf(ContributionReceipt)
// The other sample has a length that contradicts its chunks, which only a store checks.
const manifestText = samplesOf(ArtifactDescriptor)[1] ?? ''
const head = HeadDescriptor.fromJson(headText)
const receipt = ContributionReceipt.fromJson(receiptText)
const manifest = ArtifactDescriptor.fromJson(manifestText)

interface Kind {
  readonly text: string
  readonly store: () => Promise<string>
  /** Loads the record under its id and stores what it got. */
  readonly again: () => Promise<unknown>
}

const KINDS: Readonly<Record<string, Kind>> = {
  head: {
    text: headText,
    store: () => store.storeHead(head),
    again: async () => store.storeHead(await store.loadHead(head.head_id)),
  },
  receipt: {
    text: receiptText,
    store: () => store.storeReceipt(receipt),
    again: async () => store.storeReceipt(await store.loadReceipt(receipt.receipt_id)),
  },
  manifest: {
    text: manifestText,
    store: () => store.storeManifest(manifest),
    again: async () => store.storeManifest(await store.loadManifest(manifest.artifact_id)),
  },
}

describe('hostile bytes in the file of a store', () => {
  for (const [name, kind] of Object.entries(KINDS)) {
    it(`in the place of a ${name} are refused with a CheckpointError, or read to what is written and read back the same`, async function () {
      this.timeout(600_000)
      const path = await kind.store()
      const right = await readFile(path)
      let accepted = 0
      await holds(runs(100), hostileJson([kind.text]), async (bytes) => {
        await writeFile(path, bytes)
        try {
          await kind.again()
        } catch (error) {
          assert.ok(error instanceof CheckpointError, String(error))
          return
        }
        accepted += 1
        const written = await readFile(path)
        await kind.again()
        assert.deepEqual(await readFile(path), written)
      })
      assert.ok(accepted > 0)
      await writeFile(path, right)
    })
  }
})
