/** Chooses where a task about artifacts runs: small ones here, the others on the store's own thread. */

import type { ArtifactDescriptor, ChunkDescriptor, ChunkingScheme } from '../schema/index.js'
import { throwIfAborted, type OperationOptions } from '../core/abort.js'
import type { StoreArtifactOptions } from './artifact-writer.js'
import {
  cutsOf,
  evenCuts,
  GatheredChunks,
  slicedChunks,
  type ArtifactSource,
  type Cuts,
} from './chunk-feed.js'
import { chunkingScheme } from './chunking.js'
import { HOP_MIN_BYTES, IN_PLACE_MAX_BYTES } from './constants.js'
import {
  checkArtifactDescriptorAsync,
  checkChunkDescriptor,
  makeDescriptor,
  type ArtifactBuildSpec,
} from './descriptor.js'
import {
  ArtifactLengthMismatchError,
  ChunkLengthMismatchError,
  InvalidSourceError,
} from './errors.js'
import { fileSize, withIo } from './files.js'
import { partsOf, type StoreSettings } from './parts.js'
import { missingBytes, requireSpace } from './space.js'
import { releaseMemory } from '../threads/release-memory.js'
import { StoreThread } from './store-thread.js'
import {
  runTask,
  type TaskArguments,
  type TaskInput,
  type TaskName,
  type TaskResult,
} from './tasks.js'

/** One for all stores of this thread. */
const sharedThread = new StoreThread()

/**
 * Detaches an ArrayBuffer and frees its memory now. Not on this thread, if it is large: the system needs tens of
 * milliseconds to take hundreds of megabytes back.
 */
export function freeMemory(memory: ArrayBuffer): void {
  if (memory.byteLength > IN_PLACE_MAX_BYTES) sharedThread.free(memory)
  else releaseMemory(memory)
}

/**
 * The descriptor of bytes, without storing them.
 *
 * @throws InvalidChunkSizeError, InvalidSourceError, ConfigError for a bad spec, AbortError, what the source throws
 */
export async function buildArtifactDescriptor(
  spec: ArtifactBuildSpec,
  source: ArtifactSource,
  chunking: ChunkingScheme = chunkingScheme(),
  options: OperationOptions = {},
): Promise<ArtifactDescriptor> {
  return new ArtifactWork().describe(spec, source, chunking, options)
}

export class ArtifactWork {
  readonly #thread: StoreThread

  constructor(thread: StoreThread = sharedThread) {
    this.#thread = thread
  }

  async describe(
    spec: ArtifactBuildSpec,
    source: ArtifactSource,
    chunking: ChunkingScheme,
    { signal }: OperationOptions,
  ): Promise<ArtifactDescriptor> {
    const args = { spec, chunking: checked(spec, chunking) }
    return this.#fed('describe', args, source, evenCuts(args.chunking.chunk_size_bytes), signal)
  }

  async store(
    store: StoreSettings,
    spec: ArtifactBuildSpec,
    source: ArtifactSource,
    chunking: ChunkingScheme,
    { pin, expectedBytes, signal }: StoreArtifactOptions,
  ): Promise<ArtifactDescriptor> {
    const args = { store, spec, chunking: checked(spec, chunking), pin }
    const again = source instanceof Uint8Array
    const length = worthAsking(again ? source.byteLength : expectedBytes)
    await this.#requireSpace(
      store,
      length,
      again ? () => this.describe(spec, source, args.chunking, { signal }) : undefined,
    )
    const cuts = evenCuts(args.chunking.chunk_size_bytes)
    return this.#fed('store', { ...args, expectedBytes: length }, source, cuts, signal)
  }

  /** Takes the memory of the bytes for good. */
  async storeTransferred(
    store: StoreSettings,
    spec: ArtifactBuildSpec,
    bytes: Uint8Array,
    chunking: ChunkingScheme,
    { pin, signal }: StoreArtifactOptions,
  ): Promise<ArtifactDescriptor> {
    const args = { store, spec, chunking: checked(spec, chunking), pin }
    throwIfAborted(signal, 'store an artifact')
    const taken = takeOver(bytes)
    if (taken.byteLength > IN_PLACE_MAX_BYTES) {
      const expectedBytes = taken.byteLength
      try {
        await this.#requireSpace(store, expectedBytes, () =>
          this.describe(spec, taken, args.chunking, { signal }),
        )
      } catch (error) {
        freeMemory(taken.buffer)
        throw error
      }
      return this.#thread.run('store', { ...args, expectedBytes }, { bytes: taken, signal })
    }
    return runTask('store', args, { chunks: (cuts) => slicedChunks(taken, cuts), signal })
  }

  async storeFile(
    store: StoreSettings,
    spec: ArtifactBuildSpec,
    path: string,
    chunking: ChunkingScheme,
    { pin, signal }: StoreArtifactOptions,
  ): Promise<ArtifactDescriptor> {
    const args = { store, spec, chunking: checked(spec, chunking), pin, path }
    const size = await withIo(`look at ${JSON.stringify(path)}`, () => fileSize(path))
    const expectedBytes = worthAsking(size)
    await this.#requireSpace(store, expectedBytes, () =>
      this.#unfed('describeFile', args, size ?? Infinity, signal),
    )
    // A file that is not regular may be endless.
    return this.#unfed('storeFile', { ...args, expectedBytes }, size ?? Infinity, signal)
  }

  /** Verifies everything before it writes anything. */
  async storePrebuilt(
    store: StoreSettings,
    descriptor: ArtifactDescriptor,
    bytes: Uint8Array,
    { pin, signal }: StoreArtifactOptions,
  ): Promise<void> {
    await checkArtifactDescriptorAsync(descriptor)
    const { artifact_id, bytes_len } = descriptor
    if (bytes.byteLength !== bytes_len) {
      throw new ArtifactLengthMismatchError(artifact_id, bytes_len, bytes.byteLength)
    }
    const cuts = cutsOf(descriptor)
    const expectedBytes = worthAsking(bytes_len)
    await this.#requireSpace(store, expectedBytes, () => Promise.resolve(descriptor))
    await this.#fed('check', { descriptor }, bytes, cuts, signal)
    const args = { store, descriptor, pin, expectedBytes }
    await this.#fed('storePrebuilt', args, bytes, cuts, signal)
  }

  async storeChunk(
    store: StoreSettings,
    chunk: ChunkDescriptor,
    bytes: Uint8Array,
    { signal }: OperationOptions,
  ): Promise<void> {
    checkChunkDescriptor(chunk)
    const { chunk_id, length_bytes } = chunk
    if (bytes.byteLength !== length_bytes) {
      throw new ChunkLengthMismatchError(chunk_id, length_bytes, bytes.byteLength)
    }
    await this.#fed('storeChunk', { store, chunk }, bytes, evenCuts(length_bytes), signal)
  }

  async loadChunk(
    store: StoreSettings,
    chunk: ChunkDescriptor,
    { signal }: OperationOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#unfed('loadChunk', { store, chunk }, chunk.length_bytes, signal)
  }

  async load(
    store: StoreSettings,
    descriptor: ArtifactDescriptor,
    { signal }: OperationOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#unfed('load', { store, descriptor }, descriptor.bytes_len, signal)
  }

  async writeFile(
    store: StoreSettings,
    descriptor: ArtifactDescriptor,
    path: string,
    { signal }: OperationOptions,
  ): Promise<void> {
    await this.#unfed('writeFile', { store, descriptor, path }, descriptor.bytes_len, signal)
  }

  async verify(
    store: StoreSettings,
    descriptor: ArtifactDescriptor,
    { signal }: OperationOptions,
  ): Promise<void> {
    await this.#unfed('verify', { store, descriptor }, descriptor.bytes_len, signal)
  }

  /**
   * @param describe finds out which chunks there are, some of which may be in the store; all of them may be missing without
   * @throws InsufficientSpaceError
   */
  async #requireSpace(
    store: StoreSettings,
    length: number | undefined,
    describe: (() => Promise<ArtifactDescriptor>) | undefined,
  ): Promise<void> {
    if (length === undefined) return
    const { layout } = partsOf(store)
    await withIo(`look for free space in ${JSON.stringify(layout.root)}`, () =>
      requireSpace(layout, length, async () =>
        describe === undefined ? length : missingBytes(layout, await describe()),
      ),
    )
  }

  /** A task without bytes; `size` is that of the artifact or chunk that it works on. */
  async #unfed<N extends TaskName>(
    name: N,
    args: TaskArguments<N>,
    size: number,
    signal: AbortSignal | undefined,
  ): Promise<TaskResult<N>> {
    throwIfAborted(signal, 'work on an artifact')
    if (size > IN_PLACE_MAX_BYTES) return this.#thread.run(name, args, { signal })
    return runTask(name, args, { chunks: noChunks, signal })
  }

  async #fed<N extends TaskName>(
    name: N,
    args: TaskArguments<N>,
    source: ArtifactSource,
    cuts: Cuts,
    signal: AbortSignal | undefined,
  ): Promise<TaskResult<N>> {
    const here = (chunks: TaskInput['chunks']) => runTask(name, args, { chunks, signal })
    const hopPays = cuts.longest >= HOP_MIN_BYTES
    if (source instanceof Uint8Array && isUnshared(source)) {
      const isSmall = source.byteLength <= IN_PLACE_MAX_BYTES
      if (isSmall || !hopPays) return here((asked) => slicedChunks(source, asked))
    }
    const gathered = new GatheredChunks(source, cuts, signal)
    if (!hopPays) return here(() => gathered)
    // Nothing is held back for this: the first chunk is not stored before it is full anyway.
    const length = (await gathered.first())?.bytes.byteLength ?? 0
    const isWhole = length < cuts.longest
    if (isWhole && length <= IN_PLACE_MAX_BYTES) return here(() => gathered)
    return this.#thread.run(name, args, { gathered, signal })
  }
}

/** What is short meets a full disk as any file does. */
function worthAsking(length: number | undefined): number | undefined {
  return length !== undefined && length > IN_PLACE_MAX_BYTES ? length : undefined
}

function noChunks(): never {
  throw new Error('this task takes no bytes')
}

/** Refuses what is wrong before anything is read or written. */
function checked(spec: ArtifactBuildSpec, { chunk_size_bytes }: ChunkingScheme): ChunkingScheme {
  makeDescriptor(spec)
  return chunkingScheme(chunk_size_bytes)
}

/** Others might change shared memory while it is read, and Node does not hash it. */
function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer
}

/** The same bytes over the same memory, which the caller has no more. */
function takeOver(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const refuse = (why: string, cause?: unknown) =>
    new InvalidSourceError(
      `Cannot take over the memory of these ${length} bytes: ${why}; leave out transfer`,
      { cause },
    )
  const { buffer, byteOffset, byteLength: length } = bytes
  if (!isUnshared(bytes)) throw refuse('it is shared')
  let taken: ArrayBuffer
  try {
    new Uint8Array(buffer) // Throws when detached, which Node 20's structuredClone does not see.
    taken = structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
  } catch (cause) {
    throw refuse(String(cause), cause)
  }
  // Node 20 copies its own pool in silence.
  if (buffer.byteLength > 0) throw refuse('Node pools it')
  return new Uint8Array(taken, byteOffset, length)
}
