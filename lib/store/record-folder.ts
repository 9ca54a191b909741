/** A folder with one JSON file per record: manifests, heads, receipts (spec store#layout). */

import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import { writeStreamAtomic } from '../files/atomic-write.js'
import { makeFolder } from '../files/make-folder.js'
import type { Codec } from '../schema/index.js'
import { throwIfAborted, type OperationOptions } from '../core/abort.js'
import type { Durability } from './chunk-files.js'
import { CheckpointError, ConflictingRecordError, InvalidRecordError } from './errors.js'
import { fileSize, namesIn, readRecord, withIo } from './files.js'

/** One file of a listing: the record, or what is wrong with it. */
export type StoredRecord<T> =
  | { readonly path: string; readonly record: T }
  | { readonly path: string; readonly error: CheckpointError }

/** What distinguishes one kind of record. */
export interface RecordKind<T> {
  /** Absolute path of the folder. */
  readonly folder: string
  readonly codec: Codec<T>
  readonly idOf: (record: T) => string
  readonly pathOf: (id: string) => string
  /** Rejects with a CheckpointError when a record that was read contradicts itself. */
  readonly check?: (record: T) => Promise<void>
  readonly unknown: (id: string) => CheckpointError
}

/** How a record is stored. */
export interface StoreRecordOptions extends OperationOptions {
  /** Puts the record in place of another one of the same id, which is an error otherwise. Default false. */
  readonly replace?: boolean | undefined
}

export class RecordFolder<T> {
  readonly #kind: RecordKind<T>
  readonly #durability: Durability

  constructor(kind: RecordKind<T>, durability: Durability) {
    this.#kind = kind
    this.#durability = durability
  }

  async has(id: string): Promise<boolean> {
    const path = this.#kind.pathOf(id)
    return (await withIo(`look at ${JSON.stringify(path)}`, () => fileSize(path))) !== undefined
  }

  /**
   * Writes the record and returns its path. What is damaged is replaced.
   *
   * @throws ConfigError when it does not fit its codec; ConflictingRecordError when another one has its id
   */
  async store(record: T, { signal, replace = false }: StoreRecordOptions = {}): Promise<string> {
    const { codec, folder, idOf, pathOf } = this.#kind
    const path = pathOf(idOf(record))
    const json = await codec.toJsonPiecesAsync(record, { pretty: true, signal })
    if (!replace && (await this.#conflictsWith(path, record))) {
      throw new ConflictingRecordError(path, idOf(record))
    }
    await withIo(`write ${JSON.stringify(path)}`, async () => {
      await makeFolder(folder, this.#durability)
      await writeStreamAtomic(path, json, { sync: this.#durability, ...(signal && { signal }) })
    })
    return path
  }

  async load(id: string): Promise<T> {
    const record = await this.#read(this.#kind.pathOf(id))
    if (record === undefined) throw this.#kind.unknown(id)
    return record
  }

  /** All records by file name; damaged files do not end the listing. */
  async *list({ signal }: OperationOptions = {}): AsyncGenerator<StoredRecord<T>> {
    const { folder } = this.#kind
    const names = await withIo(`list ${JSON.stringify(folder)}`, () => namesIn(folder))
    for (const name of names) {
      throwIfAborted(signal, `list ${JSON.stringify(folder)}`)
      if (!name.endsWith('.json')) continue
      const path = join(folder, name)
      try {
        const record = await this.#read(path)
        if (record !== undefined) yield { path, record }
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error
        yield { path, error }
      }
    }
  }

  async #conflictsWith(path: string, record: T): Promise<boolean> {
    try {
      const { codec } = this.#kind
      const found = await this.#read(path)
      return found !== undefined && !(await sameBytes(codec, found, record))
    } catch (error) {
      if (error instanceof InvalidRecordError) return false
      throw error
    }
  }

  async #read(path: string): Promise<T | undefined> {
    const { codec, idOf, pathOf, check } = this.#kind
    const record = await withIo(`read ${JSON.stringify(path)}`, () => readRecord(path, codec))
    if (record === undefined) return undefined
    try {
      const id = idOf(record)
      if (pathOf(id) !== path) {
        throw new InvalidRecordError(path, `it is the record of ${JSON.stringify(id)}`)
      }
      await check?.(record)
    } catch (error) {
      if (!(error instanceof CheckpointError) || error instanceof InvalidRecordError) throw error
      throw new InvalidRecordError(path, error.message, { cause: error })
    }
    return record
  }
}

/** Compares the canonical forms, piece by piece. */
async function sameBytes<T>(codec: Codec<T>, a: T, b: T): Promise<boolean> {
  const others = await codec.toJsonPiecesAsync(b)
  for (const piece of await codec.toJsonPiecesAsync(a)) {
    const other = others.next()
    if (other.done === true || Buffer.compare(piece, other.value) !== 0) return false
    await setImmediate()
  }
  return others.next().done === true
}
