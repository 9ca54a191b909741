/** Deletes what no pin holds, while others read and write the store (spec sections 9.3 and 14, item 11). */

import { randomBytes } from 'node:crypto'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { ArtifactDescriptor, type ArtifactId, type ChunkId } from '../schema/index.js'
import { throwIfAborted, type OperationOptions } from './abort.js'
import { InvalidRecordError } from './errors.js'
import { fileSize, isMissing, namesIn, readRecord } from './files.js'
import type { StoreLayout } from './layout.js'

/** What garbage collection has deleted. */
export interface GarbageCollectionReport {
  readonly removed_manifests: readonly ArtifactId[]
  readonly removed_chunks: readonly ChunkId[]
  /** Number of temporary files that crashed writers had left. */
  readonly removed_temp_files: number
}

/**
 * Deletes manifests that are pinned neither themselves nor through their head, chunks of no remaining manifest,
 * and temporary files; the latter two only when older than `graceMs` milliseconds.
 *
 * @throws InvalidRecordError when a manifest cannot be read, before anything is deleted: it may be a pinned one,
 *   and its chunks are not known
 */
export async function collectGarbage(
  layout: StoreLayout,
  graceMs: number,
  { signal }: OperationOptions = {},
): Promise<GarbageCollectionReport> {
  const stopIfAborted = () => throwIfAborted(signal, 'collect garbage')
  const keep = new Set<string>()
  const unpinned: ArtifactDescriptor[] = []
  const pins = new Set(await namesIn(layout.pinsFolder))
  const keepChunks = ({ chunks }: ArtifactDescriptor) => {
    for (const { chunk_id } of chunks) keep.add(layout.chunk(chunk_id))
  }

  for (const name of await namesIn(layout.manifestsFolder)) {
    stopIfAborted()
    if (!name.endsWith('.json')) continue
    const manifest = await readManifest(layout, join(layout.manifestsFolder, name))
    if (manifest === undefined) continue
    // Pins are told by their file names, which follow from the ids; a hashed name leads back to none.
    if (pinPaths(layout, manifest).some((path) => pins.has(basename(path)))) keepChunks(manifest)
    else unpinned.push({ ...manifest, chunks: [] })
  }

  const removed_manifests: ArtifactId[] = []
  for (const { artifact_id, ...rest } of unpinned) {
    stopIfAborted()
    const path = layout.manifest(artifact_id)
    if (await anyExists(pinPaths(layout, { artifact_id, ...rest }))) {
      const manifest = await readManifest(layout, path)
      if (manifest !== undefined) keepChunks(manifest)
    } else if (await remove(path)) {
      removed_manifests.push(artifact_id)
    }
  }

  const removed_chunks: ChunkId[] = []
  for (const name of await namesIn(layout.chunksFolder)) {
    stopIfAborted()
    const path = join(layout.chunksFolder, name)
    if (!name.endsWith('.chunk') || keep.has(path)) continue
    if (await removeIfOld(path, graceMs)) removed_chunks.push(name.slice(0, -'.chunk'.length))
  }

  let removed_temp_files = 0
  for (const folder of layout.folders) {
    for (const name of await namesIn(folder)) {
      stopIfAborted()
      const path = join(folder, name)
      if (name.endsWith('.tmp') && (await isOld(path, graceMs)) && (await remove(path))) {
        removed_temp_files++
      }
    }
  }
  return { removed_manifests, removed_chunks, removed_temp_files }
}

async function readManifest(
  layout: StoreLayout,
  path: string,
): Promise<ArtifactDescriptor | undefined> {
  const manifest = await readRecord(path, ArtifactDescriptor)
  if (manifest !== undefined && layout.manifest(manifest.artifact_id) !== path) {
    throw new InvalidRecordError(
      path,
      `it is the manifest of artifact ${JSON.stringify(manifest.artifact_id)}`,
    )
  }
  return manifest
}

function pinPaths(
  layout: StoreLayout,
  { artifact_id, head_id }: Pick<ArtifactDescriptor, 'artifact_id' | 'head_id'>,
): string[] {
  return [layout.artifactPin(artifact_id), ...(head_id === null ? [] : [layout.headPin(head_id)])]
}

async function anyExists(paths: readonly string[]): Promise<boolean> {
  for (const path of paths) if ((await fileSize(path)) !== undefined) return true
  return false
}

/**
 * Deletes a chunk unless a writer wants it. A writer that finds a chunk in place makes it young by its name, and
 * may do so after we looked at its age. So the file first loses its name, and is looked at once more: from then
 * on, a writer finds it gone and writes it again.
 */
async function removeIfOld(path: string, graceMs: number): Promise<boolean> {
  if (!(await isOld(path, graceMs))) return false
  const away = join(path, '..', `.torchbed-${randomBytes(12).toString('hex')}.tmp`)
  try {
    await rename(path, away)
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
  if (await isOld(away, graceMs)) return remove(away)
  // Gone when another collector took the nameless file for a left-over, which it is.
  await rename(away, path).catch((error: unknown) => {
    if (!isMissing(error)) throw error
  })
  return false
}

/** Whether a file was last written or made young `graceMs` or longer ago; false when there is none. */
async function isOld(path: string, graceMs: number): Promise<boolean> {
  try {
    const found = await stat(path)
    return graceMs === 0 || Date.now() - found.mtimeMs >= graceMs
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** False when somebody else has deleted it. */
async function remove(path: string): Promise<boolean> {
  try {
    await rm(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}
