/** Reading the files of a store, with typed errors. */

import { constants } from 'node:fs'
import { lstat, open, readdir, stat, type FileHandle } from 'node:fs/promises'

import { ConfigError, TorchbedError } from '../errors.js'
import { makeFolder } from '../files/make-folder.js'
import { readWholeFile } from '../files/read-whole.js'
import { MAX_JSON_BYTES, type Codec } from '../schema/index.js'
import { MAX_READ_BYTES, READ_BUFFER_BYTES } from './constants.js'
import { CheckpointIoError, InvalidRecordError } from './errors.js'

/**
 * Runs something that uses the file system and makes its errors typed. Other errors pass as they are.
 *
 * @param action completes "cannot …"
 */
export async function withIo<T>(action: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof TorchbedError || !isSystemError(error)) throw error
    throw new CheckpointIoError(action, error)
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error && 'code' in error
}

/** Whether an error says that there is no such file: ENOENT, or a name that is too long to exist. */
export function isMissing(error: unknown): boolean {
  return isSystemError(error) && (error.code === 'ENOENT' || error.code === 'ENAMETOOLONG')
}

/** Size in bytes of a regular file; undefined when there is none. */
export async function fileSize(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path)
    return found.isFile() ? found.size : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** Makes folders, and those above them. */
export async function makeFolders(
  folders: readonly string[],
  durability: 'full' | 'none',
): Promise<void> {
  for (const folder of folders) await makeFolder(folder, durability)
}

/** The names in a folder, sorted; none when there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort()
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** A file's bytes, piece by piece in one buffer: a piece changes when the next one is asked for. */
export async function* readPieces(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, constants.O_RDONLY)
  try {
    const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES)
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length)
      if (bytesRead === 0) return
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await file.close()
  }
}

/** Reads on until `target` is full or the file ends; resolves to the number of bytes read. */
export async function fillFrom(file: FileHandle, target: Uint8Array): Promise<number> {
  let filled = 0
  while (filled < target.byteLength) {
    const length = Math.min(target.byteLength - filled, MAX_READ_BYTES)
    const { bytesRead } = await file.read(target, filled, length)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled
}

/** Whether a file holds exactly these bytes. */
export async function fileHolds(path: string, bytes: Uint8Array): Promise<boolean> {
  if ((await fileSize(path)) !== bytes.byteLength) return false
  let at = 0
  for await (const piece of readPieces(path)) {
    if (Buffer.compare(piece, bytes.subarray(at, at + piece.byteLength)) !== 0) return false
    at += piece.byteLength
  }
  return at === bytes.byteLength
}

/** Windows has no such flag; there, the look before is all. */
const NO_FOLLOW = process.platform === 'win32' ? 0 : constants.O_NOFOLLOW

/** A file's bytes, by its size; the file must not be a link. */
export async function readFileOf(path: string, size: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | NO_FOLLOW)
  try {
    return await readWholeFile(file, size)
  } finally {
    await file.close()
  }
}

/** Longest record that is read in one go, in bytes: a millisecond of parsing. */
const LONG_RECORD_BYTES = 64 * 1024

/**
 * A record from a JSON file; undefined when there is no file. The event loop turns while a long one is read.
 *
 * @throws InvalidRecordError when the file is a symbolic link, is too large, is not JSON, or does not fit the record
 */
export async function readRecord<T>(path: string, codec: Codec<T>): Promise<T | undefined> {
  try {
    const found = await lstat(path)
    // A link could lead out of the store, and an error could quote what is there.
    if (found.isSymbolicLink()) throw new InvalidRecordError(path, 'it is a symbolic link')
    if (!found.isFile()) return undefined
    const { size } = found
    if (size > MAX_JSON_BYTES) {
      throw new InvalidRecordError(path, `${size} bytes exceed the limit of ${MAX_JSON_BYTES}`)
    }
    const bytes = await readFileOf(path, size)
    return size > LONG_RECORD_BYTES ? await codec.fromJsonAsync(bytes) : codec.fromJson(bytes)
  } catch (error) {
    if (isMissing(error)) return undefined
    if (!(error instanceof ConfigError)) throw error
    throw new InvalidRecordError(path, error.message, { cause: error })
  }
}
