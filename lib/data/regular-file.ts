/** Reads files that may have been tampered with: no links, no pipes, no more bytes than allowed. */

import type { BigIntStats } from 'node:fs'
import { constants, lstat, open, type FileHandle } from 'node:fs/promises'

import { readWholeFile } from '../files/read-whole.js'
import { READ_PIECE_BYTES } from './constants.js'
import { DataTooLargeError, UnsafeLocatorError } from './errors.js'
import { ioError, quote } from './locator.js'
import { throwIfAborted } from '../core/abort.js'

/** An open file and what it was when it was opened. */
export interface OpenFile {
  readonly path: string
  readonly file: FileHandle
  readonly stats: BigIntStats
}

// Without O_NONBLOCK, opening a pipe would wait for a writer. Windows has neither flag.
const FLAGS =
  constants.O_RDONLY |
  (process.platform === 'win32' ? 0 : constants.O_NOFOLLOW | constants.O_NONBLOCK)

/**
 * Opens a regular file for reading; the caller closes it.
 *
 * @returns undefined when there is no such file
 * @throws UnsafeLocatorError when it is a symbolic link, a folder, a pipe or a device
 * @throws DataIoError when it cannot be opened
 */
export async function openRegularFile(path: string): Promise<OpenFile | undefined> {
  const unsafe = () =>
    new UnsafeLocatorError(`${quote(path)} is not a regular file; remove it, or replace it by one`)
  let file: FileHandle
  try {
    if (process.platform === 'win32' && (await lstat(path)).isSymbolicLink()) throw unsafe()
    file = await open(path, FLAGS)
  } catch (error) {
    if (error instanceof UnsafeLocatorError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    // ELOOP and EMLINK: a link; ENXIO: a socket or a pipe.
    if (code === 'ELOOP' || code === 'EMLINK' || code === 'ENXIO') throw unsafe()
    throw ioError('open', path, error)
  }
  try {
    const stats = await file.stat({ bigint: true })
    if (!stats.isFile()) throw unsafe()
    return { path, file, stats }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Opens a regular file, reads from it through `use`, and closes it. Otherwise as {@link openRegularFile}. */
export async function withRegularFile<T>(
  path: string,
  use: (open: OpenFile) => Promise<T>,
): Promise<T | undefined> {
  const opened = await openRegularFile(path)
  if (!opened) return undefined
  try {
    return await use(opened)
  } finally {
    await opened.file.close()
  }
}

/**
 * The bytes of a file, in pieces of at most {@link READ_PIECE_BYTES}; each is valid until the next is asked for.
 *
 * @throws DataIoError when it cannot be read
 * @throws AbortError when the signal fires
 */
export async function* piecesOf(
  { path, file }: OpenFile,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(READ_PIECE_BYTES)
  for (;;) {
    throwIfAborted(signal, `read ${quote(path)}`)
    const { bytesRead } = await file
      .read(buffer, 0, buffer.length, null)
      .catch((cause: unknown) => {
        throw ioError('read', path, cause)
      })
    if (bytesRead === 0) return
    yield buffer.subarray(0, bytesRead)
  }
}

/**
 * A whole file.
 *
 * @throws DataTooLargeError when it has more bytes than allowed, before any is read
 * @throws DataIoError when it cannot be read
 */
export async function readWhole(
  { path, file, stats }: OpenFile,
  maxBytes: number,
): Promise<Buffer> {
  if (stats.size > maxBytes) throw tooLarge(quote(path), Number(stats.size), maxBytes)
  const bytes = await readWholeFile(file, Number(stats.size)).catch((cause: unknown) => {
    throw ioError('read', path, cause)
  })
  // It may have grown since.
  if (bytes.length > maxBytes) throw tooLarge(quote(path), bytes.length, maxBytes)
  return bytes
}

/** Tells one state of a file from another: who it is, how long, and when last changed. */
export function stampOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs].join('-')
}

/** The error for something that has more bytes than allowed. */
export function tooLarge(what: string, bytes: number, maxBytes: number): DataTooLargeError {
  return new DataTooLargeError(
    `${what} has ${bytes} bytes, more than the limit of ${maxBytes}; raise the limit if it is right`,
  )
}
