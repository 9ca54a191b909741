import assert from 'node:assert/strict'

import { artifactId, contentId, type ArtifactDescriptor } from '../../lib/schema/index.js'
import { FsArtifactStore, MAX_CHUNK_COUNT } from '../../lib/store/index.js'
import { leastLongestTurn } from '../support/loop-delay.js'
import { removeFolder, SERVE_HEAD, temporaryFolder } from './support.js'

/** Far more than a slice of 8 ms, for a busy machine and V8's collections; far less than the whole takes. */
const LONGEST_MS = 150

const CHUNK_BYTES = 256 * 1024

function largest(): ArtifactDescriptor {
  const chunks = Array.from({ length: MAX_CHUNK_COUNT }, (_, index) => {
    const hash: string = contentId(Buffer.from(String(index)))
    const place = { offset_bytes: index * CHUNK_BYTES, length_bytes: CHUNK_BYTES }
    return { chunk_id: hash, ...place, chunk_hash: hash }
  })
  const rest = {
    ...SERVE_HEAD,
    head_id: SERVE_HEAD.head_id ?? null,
    base_head_id: null,
    bytes_len: MAX_CHUNK_COUNT * CHUNK_BYTES,
    chunks,
    root_hash: contentId(Buffer.from('all')),
  }
  return { artifact_id: artifactId(rest), ...rest }
}

describe('a manifest of 35 MB', () => {
  it('is written, read and checked without keeping the event loop waiting', async () => {
    const root = await temporaryFolder()
    try {
      const store = new FsArtifactStore(root, { durability: 'none' })
      const manifest = largest()
      const written = await leastLongestTurn(() => store.storeManifest(manifest), LONGEST_MS)
      let read: ArtifactDescriptor | undefined
      const loaded = await leastLongestTurn(async () => {
        read = await store.loadManifest(manifest.artifact_id)
      }, LONGEST_MS)
      assert.deepEqual(read, manifest)
      assert.ok(written < LONGEST_MS, `the event loop waited for ${written} ms for the writing`)
      assert.ok(loaded < LONGEST_MS, `the event loop waited for ${loaded} ms for the reading`)
    } finally {
      await removeFolder(root)
    }
  }).timeout(240_000)
})
