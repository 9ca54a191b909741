/**
 * Which head of a store is the canonical one: `state/canonical-head.json`, `{"head_id": …}`. The file is
 * torchbed's own; the reference keeps this in its network state.
 */

import { dirname, join } from 'node:path'
import type { FsArtifactStore } from './index.js'
import { readRecord } from './files.js'
import { writeFileAtomic } from '../files/atomic-write.js'
import { makeFolder } from '../files/make-folder.js'
import { HeadId, record, type HeadDescriptor } from '../schema/index.js'

const CanonicalHead = record('canonical head', { head_id: HeadId })

/** The file in which a store names its canonical head. */
export function canonicalHeadPath(store: FsArtifactStore): string {
  return join(store.root, 'state', 'canonical-head.json')
}

/**
 * The canonical head; null in a store without one.
 *
 * @throws InvalidRecordError when the file names no head
 * @throws UnknownHeadError when the store does not hold the head
 */
export async function readCanonicalHead(store: FsArtifactStore): Promise<HeadDescriptor | null> {
  const canonical = await readRecord(canonicalHeadPath(store), CanonicalHead)
  return canonical === undefined ? null : store.loadHead(canonical.head_id)
}

/**
 * Makes a stored head the canonical one, for good when this resolves. Its artifact must be complete
 * and pinned: after a crash the store has either the old canonical head or the new one.
 */
export async function writeCanonicalHead(
  store: FsArtifactStore,
  head: HeadDescriptor,
): Promise<void> {
  const path = canonicalHeadPath(store)
  await makeFolder(dirname(path))
  const text = CanonicalHead.toJson({ head_id: head.head_id }, { pretty: true })
  await writeFileAtomic(path, text)
}

/** The canonical heads that led to `head`, the oldest first, `head` last. */
export async function canonicalLineage(
  store: FsArtifactStore,
  head: HeadDescriptor,
): Promise<HeadDescriptor[]> {
  const lineage = [head]
  for (let at = head; at.parent_head_id !== null;) {
    at = await store.loadHead(at.parent_head_id)
    lineage.unshift(at)
  }
  return lineage
}
