/**
 * Fetching an artifact whose descriptor is known: the missing chunks come from several sources at once, each is checked
 * against the descriptor before it is stored, and what is there already is not fetched again.
 *
 * A source that sends wrong bytes is not asked again; one that fails is asked again after a pause, then given up. A fast source
 * takes the next chunk sooner, so each gives what it can; at the end the chunks that a slow one still owes are asked of others
 * too, and the first answer counts.
 */

import { setMaxListeners } from 'node:events'
import { setTimeout } from 'node:timers/promises'

import { abortError, throwIfAborted, type OperationOptions } from '../core/abort.js'
import type { ArtifactDescriptor, ChunkDescriptor } from '../schema/index.js'
import { FETCH_FIRST_PAUSE_MS, FETCH_LONGEST_PAUSE_MS, MAX_SOURCE_FAILURES } from './constants.js'
import { checkArtifactDescriptorAsync } from './descriptor.js'
import {
  ChunkHashMismatchError,
  ChunkLengthMismatchError,
  ChunkSourcesExhaustedError,
  InvalidDescriptorError,
} from './errors.js'
import { fileSize } from './files.js'
import type { FsArtifactStore } from './fs-artifact-store.js'

/** Something that has chunks: a peer, a mirror, another store. */
export interface ChunkSource {
  /** Names it in reports and messages; each source of a fetch has another name. */
  readonly name: string
  /** Chunks that may be asked of it at one time. Default 1. */
  readonly concurrency?: number | undefined
  /**
   * The bytes of a chunk, unchecked; null when it does not have the chunk. A rejection counts as a failure that may pass;
   * a ChunkHashMismatchError, ChunkLengthMismatchError or InvalidDescriptorError as a lie.
   */
  fetchChunk(
    artifact: ArtifactDescriptor,
    chunk: ChunkDescriptor,
    signal: AbortSignal,
  ): Promise<Uint8Array | null>
  /** Told when what it sent was wrong, not merely late or absent. */
  readonly onLie?: ((error: Error) => void) | undefined
}

/** How far a fetch has come. */
export interface FetchProgress {
  /** Bytes of the artifact that are in the store. */
  readonly bytes: number
  readonly totalBytes: number
  readonly chunks: number
  readonly totalChunks: number
  /** Rate since the start of this fetch, in bytes a second; 0 before the first chunk. */
  readonly bytesPerSecond: number
  /** Seconds until the end at that rate; undefined before the first chunk. */
  readonly secondsLeft: number | undefined
}

/** How an artifact is fetched. */
export interface FetchOptions extends OperationOptions {
  /** Told after each chunk. */
  readonly onProgress?: ((progress: FetchProgress) => void) | undefined
}

/** What a source gave. */
export interface SourceReport {
  readonly name: string
  /** Chunks of this source that were stored. */
  readonly chunks: number
  readonly bytes: number
  /** Rate while it was asked, in bytes a second. */
  readonly bytesPerSecond: number
  readonly failures: number
  /** Why it is not asked any more; undefined when it still would be. */
  readonly givenUp: string | undefined
  /** Whether what it sent was wrong, not merely late or absent. */
  readonly lied: boolean
}

/** What a fetch came to. */
export interface FetchReport {
  readonly artifact: ArtifactDescriptor
  /** Bytes that were fetched; the others were there. */
  readonly fetchedBytes: number
  readonly milliseconds: number
  readonly sources: readonly SourceReport[]
}

/**
 * Fetches the chunks that the store does not have, and verifies the whole artifact. Its manifest and a pin are stored first,
 * so that a fetch that was interrupted, even by `kill -9`, resumes where it was when called again.
 *
 * @throws InvalidDescriptorError, ArtifactLengthMismatchError, InsufficientSpaceError before anything is asked for; ChunkSourcesExhaustedError when no
 *   source is left and chunks are missing; ArtifactRootHashMismatchError; CheckpointIoError; AbortError
 */
export async function fetchArtifact(
  store: FsArtifactStore,
  artifact: ArtifactDescriptor,
  sources: readonly ChunkSource[],
  { signal, onProgress }: FetchOptions = {},
): Promise<FetchReport> {
  await checkArtifactDescriptorAsync(artifact)
  throwIfAborted(signal, 'fetch an artifact')
  await store.requireSpace(await store.missingBytes(artifact))
  await store.pinArtifact(artifact.artifact_id)
  await store.storeManifest(artifact, { signal })
  const fetch = new Fetch(store, artifact, sources, onProgress)
  await fetch.run(await missingChunks(store, artifact), signal)
  while (fetch.fetchedBytes > 0) {
    const damaged = await damagedChunk(store, artifact, signal)
    if (damaged === undefined) break
    await fetch.run([damaged], signal)
  }
  return fetch.report()
}

/** Verifies an artifact, its root hash included; answers a chunk that was there already and is not what it should be. */
async function damagedChunk(
  store: FsArtifactStore,
  artifact: ArtifactDescriptor,
  signal: AbortSignal | undefined,
): Promise<ChunkDescriptor | undefined> {
  try {
    await store.verifyArtifact(artifact, { signal })
    return undefined
  } catch (error) {
    if (!(error instanceof ChunkHashMismatchError)) throw error
    return artifact.chunks.find(({ chunk_id }) => chunk_id === error.chunkId)
  }
}

/** The chunks without a file of their length, each once, in the order of the artifact. */
async function missingChunks(
  store: FsArtifactStore,
  { chunks }: ArtifactDescriptor,
): Promise<ChunkDescriptor[]> {
  const missing = new Map<string, ChunkDescriptor>()
  for (const chunk of chunks) {
    if (missing.has(chunk.chunk_id)) continue
    const size = await fileSize(store.chunkPath(chunk.chunk_id))
    if (size !== chunk.length_bytes) missing.set(chunk.chunk_id, chunk)
  }
  return [...missing.values()]
}

/** A chunk that is not in the store yet. */
interface Wanted {
  readonly chunk: ChunkDescriptor
  /** Sources that are asked for it now. */
  readonly asked: Set<Source>
  /** Sources that do not have it. */
  readonly absent: Set<Source>
}

/** A source, and how it has done. */
class Source {
  chunks = 0
  bytes = 0
  failures = 0
  failuresInRow = 0
  givenUp: string | undefined
  lied = false
  busyMs = 0

  constructor(readonly of: ChunkSource) {}

  /** Pause before it is asked again, after failures. */
  get pauseMs(): number {
    if (this.failuresInRow === 0) return 0
    return Math.min(FETCH_FIRST_PAUSE_MS * 2 ** (this.failuresInRow - 1), FETCH_LONGEST_PAUSE_MS)
  }

  report(): SourceReport {
    const { chunks, bytes, failures, givenUp, lied, busyMs } = this
    const bytesPerSecond = busyMs > 0 ? (bytes * 1000) / busyMs : 0
    return { name: this.of.name, chunks, bytes, bytesPerSecond, failures, givenUp, lied }
  }
}

class Fetch {
  fetchedBytes = 0
  readonly #store: FsArtifactStore
  readonly #artifact: ArtifactDescriptor
  #wanted = new Set<Wanted>()
  readonly #sources: readonly Source[]
  readonly #onProgress: ((progress: FetchProgress) => void) | undefined
  readonly #start = performance.now()
  readonly #waiting = new Set<() => void>()
  #stop = new AbortController()
  #failure: { readonly error: unknown } | undefined

  constructor(
    store: FsArtifactStore,
    artifact: ArtifactDescriptor,
    sources: readonly ChunkSource[],
    onProgress: ((progress: FetchProgress) => void) | undefined,
  ) {
    this.#store = store
    this.#artifact = artifact
    this.#sources = sources.map((source) => new Source(source))
    this.#onProgress = onProgress
  }

  /** Asks all sources until nothing is missing, or none is left. */
  async run(missing: readonly ChunkDescriptor[], signal: AbortSignal | undefined): Promise<void> {
    // It may have fired while the store was searched, and would not fire again.
    throwIfAborted(signal, 'fetch an artifact')
    this.#wanted = new Set(missing.map((chunk) => ({ chunk, asked: new Set(), absent: new Set() })))
    this.#stop = new AbortController()
    // One listener for each chunk that is asked for.
    setMaxListeners(0, this.#stop.signal)
    const onAbort = () => this.#end()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.all(this.#sources.flatMap((source) => this.#lanes(source)))
    } finally {
      signal?.removeEventListener('abort', onAbort)
    }
    if (signal?.aborted === true) {
      throw abortError(signal, 'fetch an artifact')
    }
    if (this.#failure !== undefined) throw this.#failure.error
    if (this.#wanted.size > 0) {
      const reasons = this.#sources.map(
        ({ of, givenUp }) => `${of.name}: ${givenUp ?? 'it has no more'}`,
      )
      throw new ChunkSourcesExhaustedError(this.#artifact.artifact_id, this.#wanted.size, reasons)
    }
  }

  report(): FetchReport {
    return {
      artifact: this.#artifact,
      fetchedBytes: this.fetchedBytes,
      milliseconds: performance.now() - this.#start,
      sources: this.#sources.map((source) => source.report()),
    }
  }

  /** As many loops as the source takes requests at one time. */
  #lanes(source: Source): Promise<void>[] {
    return Array.from({ length: source.of.concurrency ?? 1 }, () => this.#lane(source))
  }

  async #lane(source: Source): Promise<void> {
    for (;;) {
      if (this.#isOver || source.givenUp !== undefined) return
      const wanted = this.#next(source)
      if (wanted === undefined) {
        if (![...this.#wanted].some(({ absent }) => !absent.has(source))) return
        await this.#news()
        continue
      }
      await this.#ask(source, wanted)
      if (source.pauseMs > 0) await this.#pause(source.pauseMs)
    }
  }

  get #isOver(): boolean {
    return this.#wanted.size === 0 || this.#stop.signal.aborted
  }

  /** The first chunk that no one is asked for; else, of those that others owe, the one asked of the fewest. */
  #next(source: Source): Wanted | undefined {
    let owed: Wanted | undefined
    for (const wanted of this.#wanted) {
      if (wanted.absent.has(source) || wanted.asked.has(source)) continue
      if (wanted.asked.size === 0) return wanted
      if (wanted.asked.size === 1) owed ??= wanted
    }
    return owed
  }

  async #ask(source: Source, wanted: Wanted): Promise<void> {
    const { chunk } = wanted
    wanted.asked.add(source)
    const start = performance.now()
    try {
      const bytes = await this.#unlessOver(
        source.of.fetchChunk(this.#artifact, chunk, this.#stop.signal),
      )
      source.busyMs += (performance.now() - start) / (source.of.concurrency ?? 1)
      if (bytes === null) {
        wanted.absent.add(source)
        return
      }
      // Another source was faster.
      if (!this.#wanted.has(wanted)) return
      await this.#keep(source, wanted, bytes)
    } catch (error) {
      if (!this.#isOver) this.#blame(source, error)
    } finally {
      wanted.asked.delete(source)
      this.#wake()
    }
  }

  /** Verifies and stores a chunk. What the disk refuses ends the fetch; no source is to blame. */
  async #keep(source: Source, wanted: Wanted, bytes: Uint8Array): Promise<void> {
    const { chunk } = wanted
    try {
      await this.#store.storeChunkBytes(chunk, bytes, { signal: this.#stop.signal })
    } catch (error) {
      if (isLie(error) || this.#stop.signal.aborted) throw error
      this.#failure ??= { error }
      this.#end()
      return
    }
    source.failuresInRow = 0
    if (!this.#wanted.delete(wanted)) return
    source.chunks += 1
    source.bytes += chunk.length_bytes
    this.fetchedBytes += chunk.length_bytes
    if (this.#wanted.size === 0) this.#end()
    this.#tellProgress()
  }

  #blame(source: Source, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error)
    source.failures += 1
    source.failuresInRow += 1
    if (isLie(error)) {
      source.lied = true
      source.of.onLie?.(error)
    }
    if (source.lied || source.failuresInRow >= MAX_SOURCE_FAILURES) source.givenUp ??= reason
  }

  #tellProgress(): void {
    if (this.#onProgress === undefined) return
    const { bytes_len: totalBytes, chunks } = this.#artifact
    let missing = 0
    for (const { chunk } of this.#wanted) missing += chunk.length_bytes
    const seconds = (performance.now() - this.#start) / 1000
    const bytesPerSecond = seconds > 0 ? this.fetchedBytes / seconds : 0
    this.#onProgress({
      bytes: totalBytes - missing,
      totalBytes,
      chunks: chunks.length - this.#wanted.size,
      totalChunks: chunks.length,
      bytesPerSecond,
      secondsLeft: bytesPerSecond > 0 ? missing / bytesPerSecond : undefined,
    })
  }

  /** Until something has changed: a chunk came, failed, or is owed no more. */
  #news(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  /** Does not wait for a source that continues after being stopped. */
  async #unlessOver<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#stop
    let onAbort: () => void = () => undefined
    const stopped = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(new Error('the fetch is over'))
      signal.addEventListener('abort', onAbort, { once: true })
    })
    try {
      return await Promise.race([work, stopped])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    const { signal } = this.#stop
    await setTimeout(milliseconds, undefined, { signal }).catch(() => undefined)
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  /** Cancels what is still asked for, and ends every loop. */
  #end(): void {
    this.#stop.abort()
    this.#wake()
  }
}

function isLie(error: unknown): error is Error {
  return (
    error instanceof ChunkLengthMismatchError ||
    error instanceof ChunkHashMismatchError ||
    error instanceof InvalidDescriptorError
  )
}
