/** Deletes what no pin holds, while others read and write the store (spec store#operations and defects#store). */

import { randomBytes } from 'node:crypto'
import { existsSync, renameSync, statSync, type Stats } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { ArtifactDescriptor, type ArtifactId, type ChunkId } from '../schema/index.js'
import { throwIfAborted, type OperationOptions } from '../core/abort.js'
import { InvalidRecordError } from './errors.js'
import { isMissing, namesIn, readRecord } from './files.js'
import type { StoreLayout } from './store-paths.js'

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
  await restoreNames(layout.manifestsFolder)
  await restoreNames(layout.chunksFolder)
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
    // Pins are recognised by their file names, which follow from the ids; a hashed name leads back to none.
    if (pinPaths(layout, manifest).some((path) => pins.has(basename(path)))) keepChunks(manifest)
    else unpinned.push({ ...manifest, chunks: [] })
  }

  const removed_manifests: ArtifactId[] = []
  for (const manifest of unpinned) {
    stopIfAborted()
    const path = layout.manifest(manifest.artifact_id)
    if (await removeUnless(path, () => pinPaths(layout, manifest).some(existsSync))) {
      removed_manifests.push(manifest.artifact_id)
    } else {
      const pinned = await readManifest(layout, path)
      if (pinned !== undefined) keepChunks(pinned)
    }
  }

  const removed_chunks: ChunkId[] = []
  for (const name of await namesIn(layout.chunksFolder)) {
    stopIfAborted()
    const path = join(layout.chunksFolder, name)
    if (!name.endsWith('.chunk') || keep.has(path) || !(await isOld(path, graceMs))) continue
    if (await removeUnless(path, (at) => isYoung(statSync(at), graceMs))) {
      removed_chunks.push(name.slice(0, -'.chunk'.length))
    }
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

/**
 * Deletes a file unless it is wanted, which may change while we look: a writer may pin an artifact and write its
 * manifest, or make a chunk young that it found in place. So the file first loses its name, and is looked at once
 * more. From then on, a writer finds it gone and writes it again; before that, we see what the writer did and give
 * the name back. Nothing is lost either way. The calls are synchronous, some microseconds each, so that a file
 * which gets its name back was gone for hardly any time. Should the process be killed in it, the next collection
 * gives the name back, which the file's new one holds.
 *
 * @param isWanted looks at the file, which is at the given path now
 * @returns false when it is wanted, or gone already
 */
async function removeUnless(path: string, isWanted: (at: string) => boolean): Promise<boolean> {
  const away = `${path}${AWAY_MARK}${randomBytes(12).toString('hex')}.tmp`
  try {
    if (isWanted(path)) return false
    renameSync(path, away)
    if (isWanted(away)) {
      renameSync(away, path)
      return false
    }
  } catch (error) {
    // Another collector was faster, maybe because it took the nameless file for a left-over, which it is.
    if (isMissing(error)) return false
    throw error
  }
  return remove(away)
}

/** In the name of a file whose own name was taken away, which stands before it. */
const AWAY_MARK = '.torchbed-'

/**
 * Gives files their names back that a collector has taken away and did not live to look at again. One that is alive
 * is not harmed: it finds the file gone, and leaves it to us.
 */
async function restoreNames(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const end = name.endsWith('.tmp') ? name.lastIndexOf(AWAY_MARK) : -1
    if (end <= 0) continue
    const path = join(folder, name.slice(0, end))
    try {
      // When somebody has stored it again, this one is a left-over.
      if (!existsSync(path)) renameSync(join(folder, name), path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
}

async function isOld(path: string, graceMs: number): Promise<boolean> {
  try {
    return !isYoung(await stat(path), graceMs)
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** Whether a file was written, or made young, less than `graceMs` ago. */
function isYoung({ mtimeMs }: Stats, graceMs: number): boolean {
  return graceMs > 0 && Date.now() - mtimeMs < graceMs
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
