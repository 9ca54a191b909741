/** The chunk files of a store: written once, verified whenever they are read. */

import { constants } from 'node:fs'
import { open, utimes, type FileHandle } from 'node:fs/promises'

import { syncFolder, writeFileAtomic } from '../files/atomic-write.js'
import type { ChunkDescriptor, ChunkId } from '../schema/index.js'
import { throwIfAborted, type OperationOptions } from '../core/abort.js'
import { checkChunk } from './chunk-stream.js'
import { ChunkLengthMismatchError, UnknownChunkError } from './errors.js'
import { fileHolds, fileSize, fillFrom, isMissing } from './files.js'
import { onceGivenBack, READER_PATIENCE_MS } from './retry-missing.js'
import { contentIdOfChunk } from './hashing.js'
import type { StoreLayout } from './store-paths.js'

/**
 * How writes trade speed for surviving a crash of the machine. With `full`, what an operation has stored is on
 * the disk when its promise resolves. With `none`, that is left to the system: after a power cut, files may be
 * missing, empty or torn; chunks are verified when read, so that this shows, and can be stored again.
 */
export type Durability = 'full' | 'none'

export class ChunkFiles {
  readonly #layout: StoreLayout
  readonly #durable: boolean

  constructor(layout: StoreLayout, durability: Durability) {
    this.#layout = layout
    this.#durable = durability === 'full'
  }

  /** Size in bytes of the chunk's file; undefined when there is none. */
  size(id: ChunkId): Promise<number | undefined> {
    return fileSize(this.#layout.chunk(id))
  }

  /**
   * Throws unless the chunk's file is there in the right length. To be called before memory is allocated for a
   * peer's descriptor.
   */
  async requireSize({ chunk_id, length_bytes }: ChunkDescriptor): Promise<void> {
    const size = await onceGivenBack(READER_PATIENCE_MS, () => this.size(chunk_id))
    if (size === undefined) throw new UnknownChunkError(chunk_id)
    if (size !== length_bytes) throw new ChunkLengthMismatchError(chunk_id, length_bytes, size)
  }

  /**
   * Stores bytes that the caller has verified. A file that is there already is compared with them: when equal it
   * only becomes young again, else it is replaced. The name is on the disk after {@link syncNames}.
   */
  async put(id: ChunkId, bytes: Uint8Array, { signal }: OperationOptions = {}): Promise<void> {
    const path = this.#layout.chunk(id)
    if (await this.#reuse(path, bytes)) return
    await writeFileAtomic(path, bytes, {
      sync: this.#durable ? 'file' : 'none',
      ...(signal && { signal }),
    })
  }

  /** Puts the names of new chunks on the disk. */
  async syncNames(): Promise<void> {
    if (this.#durable) await syncFolder(this.#layout.chunksFolder)
  }

  /** Whether the file holds the bytes already; if so, marks it as used, so that garbage collection spares it. */
  async #reuse(path: string, bytes: Uint8Array): Promise<boolean> {
    if (!(await fileHolds(path, bytes).catch(falseIfMissing))) return false
    // Its writer may not have got as far as this, or may not care.
    if (this.#durable && !(await syncFile(path).catch(falseIfMissing))) return false
    return touch(path)
  }

  /**
   * Fills `target`, which is as long as the chunk, with the chunk's bytes, and verifies them.
   *
   * @throws UnknownChunkError, ChunkLengthMismatchError, ChunkHashMismatchError, AbortError
   */
  async readInto(
    chunk: ChunkDescriptor,
    target: Uint8Array,
    options: OperationOptions = {},
  ): Promise<void> {
    await this.readUnverified(chunk, target, options)
    checkChunk(chunk, target, await contentIdOfChunk(target, options.signal))
  }

  /**
   * As {@link readInto}, for a caller that verifies the bytes, with those of other chunks, by another hash.
   *
   * @throws UnknownChunkError, ChunkLengthMismatchError, AbortError
   */
  async readUnverified(
    { chunk_id, length_bytes }: ChunkDescriptor,
    target: Uint8Array,
    { signal }: OperationOptions = {},
  ): Promise<void> {
    throwIfAborted(signal, `read chunk ${chunk_id}`)
    const path = this.#layout.chunk(chunk_id)
    const file = await onceGivenBack(READER_PATIENCE_MS, () => openIfThere(path))
    if (file === undefined) throw new UnknownChunkError(chunk_id)
    try {
      const { size } = await file.stat()
      if (size !== length_bytes) throw new ChunkLengthMismatchError(chunk_id, length_bytes, size)
      const filled = await fillFrom(file, target)
      if (filled !== size) throw new ChunkLengthMismatchError(chunk_id, length_bytes, filled)
    } finally {
      await file.close()
    }
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, constants.O_RDONLY)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/**
 * Refreshes the chunk's modification time, so that garbage collection spares it; false when it is gone. By path, not by an open
 * file: a collector that has taken the file away meanwhile must show.
 */
export async function touch(path: string): Promise<boolean> {
  const now = new Date()
  try {
    await utimes(path, now, now)
    return true
  } catch (error) {
    return falseIfMissing(error)
  }
}

/** Windows only syncs files that are open for writing. */
async function syncFile(path: string): Promise<true> {
  const file = await open(path, constants.O_RDWR)
  try {
    await file.sync()
    return true
  } finally {
    await file.close()
  }
}

function falseIfMissing(error: unknown): false {
  if (isMissing(error)) return false
  throw error
}
