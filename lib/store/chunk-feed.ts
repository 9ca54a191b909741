/** Where the chunks of an artifact come from: bytes at hand, a file, or a stream (spec store#descriptors). */

import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'

import type { ArtifactDescriptor } from '../schema/index.js'
import { describe } from '../schema/describe.js'
import { throwIfAborted, untilAborted } from '../core/abort.js'
import { ChunkBuffers } from './chunk-buffers.js'
import { COPY_SLICE_BYTES } from './constants.js'
import { InvalidSourceError } from './errors.js'
import { fillFrom } from './files.js'

/**
 * Bytes to store: all at once, or piece by piece as a Node `Readable`, a web stream or a generator gives them.
 * A piece must not change until the next one is asked for; bytes given at once, until the operation ends.
 */
export type ArtifactSource = Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** One chunk: its bytes are lent until they are given back. */
export interface LentChunk {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** Takes the ArrayBuffer of the bytes, which may have travelled meanwhile. */
  readonly giveBack: (memory: ArrayBuffer) => void
}

/** The chunks of one artifact, in order. */
export type ChunkFeed = AsyncIterable<LentChunk>

/** Where an artifact is cut. */
export interface Cuts {
  /** The length of each chunk in turn, in bytes. The artifact may end before, in the middle of one too. */
  readonly lengths: Iterable<number>
  /** Longest of them. */
  readonly longest: number
}

/** Chunks of one size, in bytes. */
export function evenCuts(size: number): Cuts {
  function* forever() {
    for (;;) yield size
  }
  return { lengths: forever(), longest: size }
}

/** The chunks of a descriptor, which has been checked. */
export function cutsOf({ chunks }: ArtifactDescriptor): Cuts {
  let longest = 0
  for (const { length_bytes } of chunks) longest = Math.max(longest, length_bytes)
  return { lengths: chunks.map(({ length_bytes }) => length_bytes), longest }
}

/** The chunks of bytes that are at hand, without a copy. */
export async function* slicedChunks(
  bytes: Uint8Array<ArrayBuffer>,
  { lengths }: Cuts,
): AsyncGenerator<LentChunk> {
  await Promise.resolve()
  let at = 0
  for (const length of lengths) {
    if (at >= bytes.byteLength) return
    yield { bytes: bytes.subarray(at, at + length), giveBack: () => undefined }
    at += length
  }
}

/** The chunks of a file, read straight into a few buffers. */
export async function* fileChunks(
  path: string,
  { lengths, longest }: Cuts,
  signal?: AbortSignal,
): AsyncGenerator<LentChunk> {
  const buffers = new ChunkBuffers(longest)
  const file = await open(path, constants.O_RDONLY)
  try {
    for (const length of lengths) {
      const stopIfAborted = () => throwIfAborted(signal, `read ${JSON.stringify(path)}`)
      const bytes = new Uint8Array(await buffers.take(stopIfAborted), 0, length)
      const filled = await fillFrom(file, bytes)
      if (filled === 0) return
      yield { bytes: bytes.subarray(0, filled), giveBack: (memory) => buffers.giveBack(memory) }
    }
  } finally {
    buffers.release()
    await file.close()
  }
}

/** The chunks of a stream, gathered in a few buffers. To be iterated once. */
export class GatheredChunks implements ChunkFeed {
  readonly #source: ArtifactSource
  readonly #cuts: Cuts
  readonly #signal: AbortSignal | undefined
  readonly #buffers: ChunkBuffers
  readonly #stop = new AbortController()

  readonly #chunks = this.#watched()
  #first: LentChunk | undefined

  constructor(source: ArtifactSource, cuts: Cuts, signal?: AbortSignal) {
    this.#source = source
    this.#cuts = cuts
    this.#signal = signal
    this.#buffers = new ChunkBuffers(cuts.longest)
  }

  /** Ends the iteration with an AbortError, also while it waits for the source or for a buffer. */
  stop(reason: unknown): void {
    this.#stop.abort(reason)
    this.#buffers.wake()
  }

  /** Waits for the first chunk, which the iteration then still begins with; undefined when there is none. */
  async first(): Promise<LentChunk | undefined> {
    const next = await this.#chunks.next()
    this.#first = next.done === true ? undefined : next.value
    return this.#first
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<LentChunk> {
    try {
      if (this.#first !== undefined) yield this.#first
      yield* this.#chunks
    } finally {
      await this.#chunks.return(undefined)
    }
  }

  async *#watched(): AsyncGenerator<LentChunk> {
    const onAbort = () => this.stop(this.#signal?.reason)
    if (this.#signal?.aborted === true) onAbort()
    this.#signal?.addEventListener('abort', onAbort, { once: true })
    try {
      yield* this.#gather()
    } finally {
      this.#signal?.removeEventListener('abort', onAbort)
      this.#buffers.release()
    }
  }

  async *#gather(): AsyncGenerator<LentChunk> {
    const { signal } = this.#stop
    const action = 'read an artifact'
    const pieces = this.#source instanceof Uint8Array ? [this.#source] : this.#source
    const lengths = this.#cuts.lengths[Symbol.iterator]()
    const lend = (bytes: Uint8Array<ArrayBuffer>): LentChunk => ({
      bytes,
      giveBack: (memory) => this.#buffers.giveBack(memory),
    })
    let chunk: Uint8Array<ArrayBuffer> | undefined
    let filled = 0
    let copied = 0
    for await (const piece of untilAborted<unknown>(pieces, signal, action)) {
      if (!(piece instanceof Uint8Array)) {
        throw new InvalidSourceError(
          `Cannot store ${describe(piece)} as bytes; give a stream of Uint8Array`,
        )
      }
      for (let at = 0; at < piece.byteLength;) {
        if (chunk === undefined) {
          const length = Number(lengths.next().value ?? this.#cuts.longest)
          const buffer = await this.#buffers.take(() => throwIfAborted(signal, action))
          chunk = new Uint8Array(buffer, 0, length)
        }
        const end = Math.min(at + chunk.byteLength - filled, at + COPY_SLICE_BYTES)
        const slice = piece.subarray(at, end)
        chunk.set(slice, filled)
        at += slice.byteLength
        filled += slice.byteLength
        copied += slice.byteLength
        if (filled === chunk.byteLength) {
          yield lend(chunk)
          chunk = undefined
          filled = 0
        }
        if (copied >= COPY_SLICE_BYTES) {
          await setImmediate()
          throwIfAborted(signal, action)
          copied = 0
        }
      }
    }
    if (chunk !== undefined) yield lend(chunk.subarray(0, filled))
  }
}
