/**
 * What takes long about artifacts, as tasks: plain arguments in, a plain result out. They run the same on the thread
 * that asks for them and on the store's own (`store-thread.ts`).
 */

import type { ArtifactDescriptor, ChunkDescriptor, ChunkingScheme } from '../schema/index.js'
import { cutsOf, evenCuts, fileChunks, type ChunkFeed, type Cuts } from './chunk-feed.js'
import { checkChunks, hashChunks } from './chunk-stream.js'
import { makeDescriptor, type ArtifactBuildSpec } from './descriptor.js'
import { withIo } from './files.js'
import { partsOf, type StoreSettings } from './parts.js'

/** What a task gets beside its arguments. */
export interface TaskInput {
  /** The bytes that the task takes, cut as it asks. Asked for once. */
  readonly chunks: (cuts: Cuts) => ChunkFeed
  readonly signal?: AbortSignal | undefined
}

interface StoreArguments {
  readonly store: StoreSettings
  readonly spec: ArtifactBuildSpec
  readonly chunking: ChunkingScheme
  readonly pin?: boolean | undefined
  /** In bytes; undefined where the room is not worth a question, or not known. */
  readonly expectedBytes?: number | undefined
}

const tasks = {
  /** The descriptor of bytes. */
  async describe(
    { spec, chunking }: Pick<StoreArguments, 'spec' | 'chunking'>,
    { chunks, signal }: TaskInput,
  ): Promise<ArtifactDescriptor> {
    const feed = chunks(evenCuts(chunking.chunk_size_bytes))
    return makeDescriptor(spec, await hashChunks(feed, chunking, undefined, { signal }))
  },

  /** Throws unless the bytes are those of the descriptor, which has been checked. */
  async check(
    { descriptor }: { readonly descriptor: ArtifactDescriptor },
    { chunks, signal }: TaskInput,
  ): Promise<void> {
    await checkChunks(chunks(cutsOf(descriptor)), descriptor, { signal })
  },

  async store(
    { store, spec, chunking, pin = false, expectedBytes }: StoreArguments,
    { chunks, signal }: TaskInput,
  ): Promise<ArtifactDescriptor> {
    const feed = chunks(evenCuts(chunking.chunk_size_bytes))
    return partsOf(store).writer.store(spec, feed, chunking, { pin, expectedBytes, signal })
  },

  async storeFile(
    args: StoreArguments & { readonly path: string },
    { signal }: TaskInput,
  ): Promise<ArtifactDescriptor> {
    const { store, spec, chunking, pin = false, expectedBytes, path } = args
    const feed = fileChunks(path, evenCuts(chunking.chunk_size_bytes), signal)
    return partsOf(store).writer.store(spec, feed, chunking, { pin, expectedBytes, signal })
  },

  async describeFile(
    args: Pick<StoreArguments, 'spec' | 'chunking'> & { readonly path: string },
    { signal }: TaskInput,
  ): Promise<ArtifactDescriptor> {
    const { spec, chunking, path } = args
    const feed = fileChunks(path, evenCuts(chunking.chunk_size_bytes), signal)
    return makeDescriptor(spec, await hashChunks(feed, chunking, undefined, { signal }))
  },

  /** Stores bytes that have passed `check`. */
  async storePrebuilt(
    args: Pick<StoreArguments, 'store' | 'pin' | 'expectedBytes'> & {
      readonly descriptor: ArtifactDescriptor
    },
    { chunks, signal }: TaskInput,
  ): Promise<void> {
    const { store, descriptor, pin = false, expectedBytes } = args
    const feed = chunks(cutsOf(descriptor))
    await partsOf(store).writer.storePrebuilt(descriptor, feed, { pin, expectedBytes, signal })
  },

  /** Stores one chunk, which has been checked. */
  async storeChunk(
    { store, chunk }: { readonly store: StoreSettings; readonly chunk: ChunkDescriptor },
    { chunks, signal }: TaskInput,
  ): Promise<void> {
    for await (const { bytes, giveBack } of chunks(evenCuts(chunk.length_bytes))) {
      await partsOf(store).writer.storeChunk(chunk, bytes, { signal })
      giveBack(bytes.buffer)
    }
  },

  async loadChunk(
    { store, chunk }: { readonly store: StoreSettings; readonly chunk: ChunkDescriptor },
    { signal }: TaskInput,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return partsOf(store).reader.chunkBytes(chunk, { signal })
  },

  async load(
    args: { readonly store: StoreSettings; readonly descriptor: ArtifactDescriptor },
    { signal }: TaskInput,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return partsOf(args.store).reader.bytes(args.descriptor, { signal })
  },

  async writeFile(
    args: {
      readonly store: StoreSettings
      readonly descriptor: ArtifactDescriptor
      readonly path: string
    },
    { signal }: TaskInput,
  ): Promise<void> {
    await partsOf(args.store).reader.file(args.descriptor, args.path, { signal })
  },

  /** Throws unless every byte in the store is right. */
  async verify(
    {
      store,
      descriptor,
    }: { readonly store: StoreSettings; readonly descriptor: ArtifactDescriptor },
    { signal }: TaskInput,
  ): Promise<void> {
    await withIo(`look at the chunks of artifact ${descriptor.artifact_id}`, () =>
      partsOf(store).reader.verify(descriptor, { signal }),
    )
  },
}

type Tasks = typeof tasks
export type TaskName = keyof Tasks
export type TaskArguments<N extends TaskName> = Parameters<Tasks[N]>[0]
export type TaskResult<N extends TaskName> = Awaited<ReturnType<Tasks[N]>>

/** Runs a task on this thread. */
export async function runTask<N extends TaskName>(
  name: N,
  args: TaskArguments<N>,
  input: TaskInput,
): Promise<TaskResult<N>> {
  const task = tasks[name] as (args: TaskArguments<N>, input: TaskInput) => Promise<TaskResult<N>>
  return task(args, input)
}
