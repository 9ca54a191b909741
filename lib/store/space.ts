/** How much room an artifact needs, and whether there is so much. */

import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'

import type { ArtifactDescriptor } from '../schema/index.js'
import { Claims } from './claims.js'
import { InsufficientSpaceError } from './errors.js'
import { fileSize, isMissing } from './files.js'
import type { StoreLayout } from './store-paths.js'

/** Bytes of the chunks, each counted once, that have no file of their length. */
export async function missingBytes(
  layout: StoreLayout,
  { chunks }: ArtifactDescriptor,
): Promise<number> {
  const counted = new Set<string>()
  let missing = 0
  for (const { chunk_id, length_bytes } of chunks) {
    if (counted.has(chunk_id)) continue
    counted.add(chunk_id)
    if ((await fileSize(layout.chunk(chunk_id))) !== length_bytes) missing += length_bytes
  }
  return missing
}

/**
 * Refuses what cannot fit.
 *
 * @param most bytes that are needed at most; with so much room, nothing else is looked at
 * @param exactly finds out how many bytes are needed
 * @throws InsufficientSpaceError
 */
export async function requireSpace(
  layout: StoreLayout,
  most: number,
  exactly: () => Promise<number>,
): Promise<void> {
  const available = await freeBytes(layout)
  if (available === undefined || most <= available) return
  const needed = await exactly()
  if (needed > available) throw new InsufficientSpaceError(layout.root, needed, available)
}

/** Bytes that this user may write, without what other writers have reserved; undefined when the system does not say. */
async function freeBytes({ root, claimsFolder }: StoreLayout): Promise<number | undefined> {
  for (let folder = root; ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder)
      return Math.max(0, bavail * bsize - new Claims(claimsFolder).owed())
    } catch (error) {
      // The store is yet to be made.
      if (!isMissing(error) || folder === dirname(folder)) return undefined
    }
  }
}
