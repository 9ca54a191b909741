/**
 * Durable writes: a reader of the target sees the old file or the whole new one, even after a crash.
 *
 * The bytes go to a new file beside the target, reach the disk, and only then take the target's name. The
 * temporary name is random and short, so that writers of one target never meet and a long target name has room. It
 * holds the stamp of its process, so that what a process left that has ended is known as such at once.
 * System errors (`ENOSPC`, `EACCES`, …) pass through as Node gives them.
 */

import { randomBytes } from 'node:crypto'
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { abortError } from '../core/abort.js'
import { hasEnded, processStamp, STAMP_PATTERN, stampIn } from './process-stamp.js'

/** What an atomic write takes. */
export interface AtomicWriteOptions {
  /** Stops the write; the target stays as it was. Looked at between pieces and before the rename. */
  readonly signal?: AbortSignal | undefined
  /** Permissions of the new file, before the umask. Default `0o666`. */
  readonly mode?: number
  /**
   * What is on the disk when the write returns. `full`, the default: the bytes and the name. `file`: the bytes
   * alone, for callers that write many files and then call {@link syncFolder} once. `none`: nothing yet; if the
   * machine (not just the process) crashes, a torn file may have the target's name.
   */
  readonly sync?: 'full' | 'file' | 'none'
}

/** Age after which a temporary file that is not being written counts as left over, in milliseconds: one hour. */
export const TEMP_FILE_MAX_AGE_MS = 60 * 60 * 1000

const TEMP_FILE_NAME = new RegExp(`^\\.torchbed-(?:${STAMP_PATTERN}-)?[0-9a-f]{12,24}\\.tmp$`)

/** Whether a file name is that of an unfinished atomic write. */
export function isTempFileName(name: string): boolean {
  return TEMP_FILE_NAME.test(name)
}

/**
 * Writes a whole file. Its folder must exist.
 *
 * @param data bytes, or text that is written as UTF-8
 * @throws AbortError when the signal fires first; else the system's error. In both cases the target is untouched,
 *   or, when the last step alone failed, which syncs the folder, replaced as a whole
 */
export async function writeFileAtomic(
  path: string,
  data: Uint8Array | string,
  options: AtomicWriteOptions = {},
): Promise<void> {
  await writeStreamAtomic(path, [typeof data === 'string' ? Buffer.from(data) : data], options)
}

/**
 * Writes a file piece by piece, in the memory of one piece. Its folder must exist.
 *
 * A source that throws cancels the write, so a generator that checks a hash after the last piece keeps wrong
 * bytes from ever having the target's name. A source that waits must watch the signal itself.
 *
 * @returns the number of bytes written
 * @throws AbortError when the signal fires first; else what the source threw, or the system's error. In each
 *   case the target is as {@link writeFileAtomic} says
 */
export async function writeStreamAtomic(
  path: string,
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  { signal, mode = 0o666, sync = 'full' }: AtomicWriteOptions = {},
): Promise<number> {
  const stopIfAborted = () => {
    if (signal?.aborted !== true) return
    throw abortError(signal, `write ${JSON.stringify(path)}`)
  }
  stopIfAborted()
  const folder = dirname(path)
  const temp = join(folder, `.torchbed-${processStamp()}-${randomBytes(6).toString('hex')}.tmp`)
  const file = await open(temp, 'wx', mode)
  try {
    const length = await fill(file, source, stopIfAborted, sync !== 'none')
    stopIfAborted()
    await rename(temp, path)
    if (sync === 'full') await syncFolder(folder)
    return length
  } catch (error) {
    // The error at hand matters more than one about the clean-up.
    await rm(temp, { force: true }).catch(() => undefined)
    throw error
  }
}

/**
 * Whether a temporary file that was last written at `mtimeMs` is left over: its process has ended, or, where that cannot
 * be known, it is older than `maxAgeMs`, in milliseconds.
 */
export function isLeftOver(
  name: string,
  mtimeMs: number,
  maxAgeMs = TEMP_FILE_MAX_AGE_MS,
): boolean {
  const stamp = stampIn(name)
  return (stamp !== undefined && hasEnded(stamp)) || Date.now() - mtimeMs >= maxAgeMs
}

/**
 * Deletes what crashed writers left in a folder; sub-folders are not looked into.
 *
 * @returns how many files were deleted; 0 when there is no such folder
 */
export async function removeLeftoverTempFiles(
  folder: string,
  { maxAgeMs = TEMP_FILE_MAX_AGE_MS }: { readonly maxAgeMs?: number } = {},
): Promise<number> {
  let removed = 0
  for (const name of (await readdir(folder).catch(ifMissing([] as string[]))).filter(
    isTempFileName,
  )) {
    const path = join(folder, name)
    const found = await stat(path).catch(ifMissing(undefined))
    if (found === undefined || !isLeftOver(name, found.mtimeMs, maxAgeMs)) continue
    await rm(path, { force: true })
    removed++
  }
  return removed
}

/** Writes all pieces, sees them onto the disk when asked to, and closes the file whatever happens. */
async function fill(
  file: FileHandle,
  source: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  stopIfAborted: () => void,
  sync: boolean,
): Promise<number> {
  try {
    let length = 0
    for await (const piece of source) {
      stopIfAborted()
      await file.writeFile(piece)
      length += piece.byteLength
    }
    if (sync) await file.sync()
    return length
  } finally {
    await file.close()
  }
}

/** Sees renames within a folder onto the disk. Windows cannot open folders and keeps renames in its journal. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function ifMissing<T>(value: T): (error: NodeJS.ErrnoException) => T {
  return (error) => {
    if (error.code === 'ENOENT') return value
    throw error
  }
}
