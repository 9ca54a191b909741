/** Deletes what no pin holds, while others read and write the store (spec store#operations and defects#store). */

import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, renameSync, statSync } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { ArtifactDescriptor, type ArtifactId, type ChunkId } from '../schema/index.js'
import { throwIfAborted, type OperationOptions } from '../core/abort.js'
import { isLeftOver } from '../files/atomic-write.js'
import { Claims } from './claims.js'
import { COLLECTED_CHUNKS_AT_ONCE, STORE_TEMP_GRACE_MS } from './constants.js'
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
 * Deletes manifests that are pinned neither themselves nor through their head; chunks that neither a remaining manifest nor a
 * live writer names, and that are older than `graceMs` milliseconds; temporary files and claims of processes that have ended.
 *
 * @throws InvalidRecordError when a manifest cannot be read, before a chunk is deleted: it may be a pinned one, and its chunks
 *   are not known
 */
export async function collectGarbage(
  layout: StoreLayout,
  graceMs: number,
  { signal }: OperationOptions = {},
): Promise<GarbageCollectionReport> {
  const stopIfAborted = () => throwIfAborted(signal, 'collect garbage')
  await restoreNames(layout.manifestsFolder)
  await restoreNames(layout.chunksFolder)
  const claims = new Claims(layout.claimsFolder)
  const manifests = new Manifests(layout)
  const removed_manifests = await removeManifests(layout, manifests, stopIfAborted)
  const removed_chunks = await removeChunks(layout, manifests, claims, graceMs, stopIfAborted)

  let removed_temp_files = 0
  for (const folder of layout.folders) {
    for (const name of await namesIn(folder)) {
      stopIfAborted()
      const path = join(folder, name)
      if (name.endsWith('.tmp') && (await isOldTemporary(path)) && (await remove(path))) {
        removed_temp_files++
      }
    }
  }
  await claims.removeDead()
  return { removed_manifests, removed_chunks, removed_temp_files }
}

/** The manifests that stay, and their chunks. */
class Manifests {
  readonly #layout: StoreLayout
  readonly #names = new Set<string>()
  /** File names of chunks. */
  readonly chunks = new Set<string>()

  constructor(layout: StoreLayout) {
    this.#layout = layout
  }

  /** Undefined when it is gone. */
  async read(name: string): Promise<ArtifactDescriptor | undefined> {
    const path = join(this.#layout.manifestsFolder, name)
    const manifest = await readRecord(path, ArtifactDescriptor)
    if (manifest !== undefined && this.#layout.manifest(manifest.artifact_id) !== path) {
      throw new InvalidRecordError(
        path,
        `it is the manifest of artifact ${JSON.stringify(manifest.artifact_id)}`,
      )
    }
    return manifest
  }

  keep(name: string, { chunks }: ArtifactDescriptor): void {
    this.#names.add(name)
    for (const { chunk_id } of chunks) this.chunks.add(basename(this.#layout.chunk(chunk_id)))
  }

  /** Manifests that have come since; synchronously, while chunks have no names. */
  added(): string[] {
    const found = unlessMissing(() => readdirSync(this.#layout.manifestsFolder)) ?? []
    const names = found.map((name) => ownName(name) ?? name)
    return names.filter((name) => name.endsWith('.json') && !this.#names.has(name))
  }
}

async function removeManifests(
  layout: StoreLayout,
  manifests: Manifests,
  stopIfAborted: () => void,
): Promise<ArtifactId[]> {
  const unpinned: Pick<ArtifactDescriptor, 'artifact_id' | 'head_id'>[] = []
  const pins = new Set(await namesIn(layout.pinsFolder))
  for (const name of await namesIn(layout.manifestsFolder)) {
    stopIfAborted()
    if (!name.endsWith('.json')) continue
    const manifest = await manifests.read(name)
    if (manifest === undefined) continue
    // Pins are recognised by their file names, which follow from the ids; a hashed name leads back to none.
    const { artifact_id, head_id } = manifest
    if (pinPaths(layout, manifest).some((path) => pins.has(basename(path)))) {
      manifests.keep(name, manifest)
    } else unpinned.push({ artifact_id, head_id })
  }
  const removed: ArtifactId[] = []
  for (const manifest of unpinned) {
    stopIfAborted()
    const path = layout.manifest(manifest.artifact_id)
    if (await removeUnless(path, () => pinPaths(layout, manifest).some(existsSync))) {
      removed.push(manifest.artifact_id)
    } else {
      const pinned = await manifests.read(basename(path))
      if (pinned !== undefined) manifests.keep(basename(path), pinned)
    }
  }
  return removed
}

/**
 * Deletes chunks, some at a time: they lose their names first, then claims and manifests are looked at once more. A writer that
 * claimed a chunk before it lost its name is seen, or, when it has ended meanwhile, its manifest is; one that comes later
 * finds the chunk gone and writes it again. So no clock is needed, and nothing is lost.
 */
async function removeChunks(
  layout: StoreLayout,
  manifests: Manifests,
  claims: Claims,
  graceMs: number,
  stopIfAborted: () => void,
): Promise<ChunkId[]> {
  const removed: ChunkId[] = []
  const claimed = claims.names()
  const candidates = (await namesIn(layout.chunksFolder)).filter(
    (name) => name.endsWith('.chunk') && !claimed.has(name),
  )
  for (let at = 0; at < candidates.length; at += COLLECTED_CHUNKS_AT_ONCE) {
    const batch = candidates.slice(at, at + COLLECTED_CHUNKS_AT_ONCE)
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      stopIfAborted()
      const unnamed = batch.filter((name) => !manifests.chunks.has(name))
      const { away, added } = takeNames(layout.chunksFolder, unnamed, manifests, claims, graceMs)
      for (const [name, path] of away) {
        if (await remove(path)) removed.push(name.slice(0, -'.chunk'.length))
      }
      if (added.length === 0) break
      for (const name of added) {
        const manifest = await manifests.read(name)
        if (manifest !== undefined) manifests.keep(name, manifest)
      }
    }
  }
  return removed
}

/** How often chunks are tried between which manifests came; then they are left to the next collection. */
const ATTEMPTS = 20

/**
 * Takes the names of chunks away, and gives those back that are wanted; all of them, when manifests have been added meanwhile
 * that are to be read first. Synchronous, so that no reader waits for long.
 *
 * @returns the paths, by name, of the chunks that are not wanted; the names of the manifests
 */
function takeNames(
  folder: string,
  names: readonly string[],
  manifests: Manifests,
  claims: Claims,
  graceMs: number,
): { readonly away: ReadonlyMap<string, string>; readonly added: readonly string[] } {
  const away = new Map<string, string>()
  const isYoung = (path: string) => graceMs > 0 && Date.now() - statSync(path).mtimeMs < graceMs
  const giveBack = (name: string) => {
    const path = away.get(name)
    away.delete(name)
    if (path !== undefined) unlessMissing(() => renameSync(path, join(folder, name)))
  }
  // Looked at before too: what is wanted then keeps its name even if this process is killed here.
  const known = manifests.added()
  if (known.length > 0) return { away, added: known }
  const claimedBefore = claims.names()
  try {
    for (const name of names) {
      unlessMissing(() => {
        const path = join(folder, name)
        if (claimedBefore.has(name) || isYoung(path)) return
        const taken = awayName(path)
        renameSync(path, taken)
        away.set(name, taken)
      })
    }
    // In this order: who releases a claim has written the manifest.
    const claimed = claims.names()
    const added = away.size === 0 ? [] : manifests.added()
    for (const [name, path] of away) {
      const isWanted = added.length > 0 || claimed.has(name)
      if (isWanted || unlessMissing(() => isYoung(path)) !== false) giveBack(name)
    }
    return { away, added }
  } catch (error) {
    try {
      for (const name of [...away.keys()]) giveBack(name)
    } catch {
      // The next collection gives them back; the error at hand matters more.
    }
    throw error
  }
}

function pinPaths(
  layout: StoreLayout,
  { artifact_id, head_id }: Pick<ArtifactDescriptor, 'artifact_id' | 'head_id'>,
): string[] {
  return [layout.artifactPin(artifact_id), ...(head_id === null ? [] : [layout.headPin(head_id)])]
}

/**
 * Deletes a manifest unless it is wanted, which may change while we look: a writer may pin the artifact and write the
 * manifest. So the file first loses its name, and is looked at once
 * more. From then on, a writer finds it gone and writes it again; before that, we see what the writer did and give
 * the name back. Nothing is lost either way. The calls are synchronous, some microseconds each, so that a file
 * which gets its name back was gone for hardly any time. Should the process be killed in it, the next collection
 * gives the name back, which the file's new one holds.
 *
 * @param isWanted looks at the file, which is at the given path now
 * @returns false when it is wanted, or gone already
 */
async function removeUnless(path: string, isWanted: (at: string) => boolean): Promise<boolean> {
  const away = awayName(path)
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

function awayName(path: string): string {
  return `${path}${AWAY_MARK}${randomBytes(12).toString('hex')}.tmp`
}

/** The own name of a file whose name was taken away; undefined for any other. */
function ownName(name: string): string | undefined {
  const end = name.endsWith('.tmp') ? name.lastIndexOf(AWAY_MARK) : -1
  return end > 0 ? name.slice(0, end) : undefined
}

/**
 * Gives files their names back that a collector has taken away and did not live to look at again. One that is alive
 * is not harmed: it finds the file gone, and leaves it to us.
 */
async function restoreNames(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const own = ownName(name)
    if (own === undefined) continue
    const path = join(folder, own)
    try {
      // When somebody has stored it again, this one is a left-over.
      if (!existsSync(path)) renameSync(join(folder, name), path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }
}

/** Whether a temporary file is left over; false when it is gone. */
async function isOldTemporary(path: string): Promise<boolean> {
  try {
    return isLeftOver(basename(path), (await stat(path)).mtimeMs, STORE_TEMP_GRACE_MS)
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** What it returns; undefined when a file is missing. */
function unlessMissing<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (isMissing(error)) return undefined
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
