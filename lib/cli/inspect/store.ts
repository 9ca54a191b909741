/** Inspects an artifact store. Only reads. */

import { join } from 'node:path'
import { type CheckpointError, FsArtifactStore, type StoredRecord } from '../../store/index.js'
import { fileSize, namesIn, withIo } from '../../store/files.js'
import { StoreLayout } from '../../store/store-paths.js'
import type { ArtifactDescriptor, HeadId } from '../../schema/index.js'
import { readCanonicalHead } from '../../store/canonical-head.js'
import { checkArtifact } from './artifact.js'
import { checkHeads } from './heads.js'
import type { Progress } from './progress.js'
import { problemOf, type ArtifactReport, type Problem, type StoreReport } from './report.js'

/**
 * @param root the store's folder
 * @throws CheckpointIoError when the folders cannot be listed
 */
export async function inspectStore(
  root: string,
  verify: boolean,
  progress: Progress,
): Promise<StoreReport> {
  const store = new FsArtifactStore(root)
  const problems: Problem[] = []
  const noteError = (error: unknown) => void problems.push(problemOf(error))

  const manifests = await recordsOf(store.listManifests(), noteError)
  const heads = await recordsOf(store.listHeads(), noteError)
  const receipts = await recordsOf(store.listReceipts(), noteError)
  const pinnedHeads = await store.pinnedHeads()
  const canonicalHead = await canonicalHeadOf(store, noteError)

  const checked = checkHeads(new Map(heads.map((head) => [head.head_id, head])), {
    store,
    artifacts: new Map(manifests.map((artifact) => [artifact.artifact_id, artifact])),
    canonicalHead,
    pinnedHeads,
  })
  problems.push(...checked.problems)

  const artifactBytes = manifests.reduce((sum, { bytes_len }) => sum + bytes_len, 0)
  const artifacts: ArtifactReport[] = []
  if (verify) progress.start(artifactBytes)
  for (const manifest of manifests) {
    const options = { verify, onVerified: (bytes: number) => progress.add(bytes) }
    const found = await checkArtifact(store, manifest, options)
    artifacts.push(found.report)
    problems.push(...found.problems)
  }
  progress.end()

  return {
    kind: 'store',
    path: store.root,
    ok: problems.length === 0,
    verified: verify,
    problems,
    canonicalHead,
    heads: checked.reports,
    artifacts,
    pins: { heads: [...pinnedHeads], artifacts: [...(await store.pinnedArtifacts())] },
    receiptCount: receipts.length,
    totals: { artifactBytes, ...(await measureChunks(root, manifests)) },
  }
}

async function recordsOf<T>(
  listing: AsyncIterable<StoredRecord<T>>,
  onError: (error: CheckpointError) => void,
): Promise<T[]> {
  const records: T[] = []
  for await (const stored of listing) {
    if ('record' in stored) records.push(stored.record)
    else onError(stored.error)
  }
  return records
}

/** A canonical head that cannot be read, or names a head that is not there, is a problem, and null. */
async function canonicalHeadOf(
  store: FsArtifactStore,
  onError: (error: unknown) => void,
): Promise<HeadId | null> {
  try {
    const head = await withIo('read the canonical head', () => readCanonicalHead(store))
    return head?.head_id ?? null
  } catch (error) {
    onError(error)
    return null
  }
}

async function measureChunks(root: string, manifests: readonly ArtifactDescriptor[]) {
  const layout = new StoreLayout(root)
  const named = new Set<string>()
  for (const { chunks } of manifests) {
    for (const { chunk_id } of chunks) named.add(layout.chunk(chunk_id))
  }
  const totals = {
    chunkFiles: 0,
    chunkBytes: 0,
    unreferencedChunkFiles: 0,
    unreferencedChunkBytes: 0,
  }
  await withIo(`list ${JSON.stringify(layout.chunksFolder)}`, async () => {
    for (const name of await namesIn(layout.chunksFolder)) {
      const path = join(layout.chunksFolder, name)
      const size = name.endsWith('.chunk') ? await fileSize(path) : undefined
      if (size === undefined) continue
      totals.chunkFiles++
      totals.chunkBytes += size
      if (named.has(path)) continue
      totals.unreferencedChunkFiles++
      totals.unreferencedChunkBytes += size
    }
  })
  return totals
}
