/** Stores artifacts: chunks first, manifest last (spec section 9.3). */

import type { ArtifactDescriptor, ChunkDescriptor, ChunkingScheme } from '../schema/index.js'
import type { OperationOptions } from './abort.js'
import { checkRootHash } from './artifact-reader.js'
import type { ChunkFiles } from './chunk-files.js'
import { ChunkGuard } from './chunk-guard.js'
import { cutIntoChunks, type ArtifactSource, type ChunkSink } from './chunk-stream.js'
import { MAX_WRITES_IN_FLIGHT } from './constants.js'
import {
  checkArtifactDescriptor,
  checkChunkDescriptor,
  makeDescriptor,
  type ArtifactBuildSpec,
} from './descriptor.js'
import {
  ArtifactLengthMismatchError,
  ChunkHashMismatchError,
  ChunkLengthMismatchError,
} from './errors.js'
import { makeFolders, withIo } from './files.js'
import { ContentHash, hashInSlices } from './hashing.js'
import { inParallel } from './in-parallel.js'
import type { StoreLayout } from './layout.js'
import type { PinFolder } from './pin-folder.js'
import type { RecordFolder } from './record-folder.js'

/** How one artifact is stored. */
export interface StoreArtifactOptions extends OperationOptions {
  /** Pins the artifact before its manifest appears, so that no garbage collection comes between. Default false. */
  readonly pin?: boolean
}

/** What a writer works with. */
export interface ArtifactWriterParts {
  readonly layout: StoreLayout
  readonly chunks: ChunkFiles
  readonly manifests: RecordFolder<ArtifactDescriptor>
  readonly pins: PinFolder
  /** Age, in milliseconds, before which garbage collection spares chunks without a manifest. */
  readonly chunkGraceMs: number
}

export class ArtifactWriter {
  readonly #parts: ArtifactWriterParts

  constructor(parts: ArtifactWriterParts) {
    this.#parts = parts
  }

  async storeChunk(
    chunk: ChunkDescriptor,
    bytes: Uint8Array,
    options: OperationOptions,
  ): Promise<void> {
    const { layout, chunks } = this.#parts
    checkChunkDescriptor(chunk)
    await verifyChunk(chunk, bytes, [], options)
    await withIo(`store chunk ${chunk.chunk_id}`, async () => {
      await makeFolders(layout.folders)
      await chunks.put(chunk.chunk_id, bytes, options)
      await chunks.syncNames()
    })
  }

  async storeStream(
    spec: ArtifactBuildSpec,
    source: ArtifactSource,
    chunking: ChunkingScheme,
    options: StoreArtifactOptions,
  ): Promise<ArtifactDescriptor> {
    // A bad spec shows before anything is read or written.
    makeDescriptor(spec)
    return this.#guarded('store an artifact', options, async (put) => {
      return makeDescriptor(spec, await cutIntoChunks(source, chunking, put, options))
    })
  }

  /** Verifies everything before it writes anything. */
  async storePrebuilt(
    descriptor: ArtifactDescriptor,
    bytes: Uint8Array,
    options: StoreArtifactOptions,
  ): Promise<void> {
    checkArtifactDescriptor(descriptor)
    const { artifact_id, bytes_len, chunks } = descriptor
    if (bytes.byteLength !== bytes_len) {
      throw new ArtifactLengthMismatchError(artifact_id, bytes_len, bytes.byteLength)
    }
    const bytesOf = ({ offset_bytes, length_bytes }: ChunkDescriptor) =>
      bytes.subarray(offset_bytes, offset_bytes + length_bytes)
    const rootHash = new ContentHash()
    for (const chunk of chunks) await verifyChunk(chunk, bytesOf(chunk), [rootHash], options)
    checkRootHash(descriptor, rootHash)

    await this.#guarded(`store artifact ${artifact_id}`, options, async (put) => {
      await inParallel(chunks, MAX_WRITES_IN_FLIGHT, (chunk) => put(chunk, bytesOf(chunk)))
      return descriptor
    })
  }

  /** Stores chunks, which no garbage collection takes meanwhile, then the manifest that `run` returns. */
  async #guarded(
    action: string,
    { pin = false, signal }: StoreArtifactOptions,
    run: (put: ChunkSink) => Promise<ArtifactDescriptor>,
  ): Promise<ArtifactDescriptor> {
    const { layout, chunks, manifests, pins, chunkGraceMs } = this.#parts
    const guard = new ChunkGuard(layout, chunkGraceMs)
    const put: ChunkSink = async ({ chunk_id }, bytes) => {
      if (guard.has(chunk_id)) return
      await chunks.put(chunk_id, bytes, { signal })
      guard.add(chunk_id)
    }
    return withIo(`${action} in ${JSON.stringify(layout.root)}`, async () => {
      try {
        await makeFolders(layout.folders)
        const descriptor = await run(put)
        await chunks.syncNames()
        if (pin) await pins.add(layout.artifactPin(descriptor.artifact_id), descriptor.artifact_id)
        await guard.finish()
        await manifests.store(descriptor, { signal })
        return descriptor
      } finally {
        guard.stop()
      }
    })
  }
}

async function verifyChunk(
  { chunk_id, chunk_hash, length_bytes }: ChunkDescriptor,
  bytes: Uint8Array,
  alsoInto: readonly ContentHash[],
  { signal }: OperationOptions,
): Promise<void> {
  if (bytes.byteLength !== length_bytes) {
    throw new ChunkLengthMismatchError(chunk_id, length_bytes, bytes.byteLength)
  }
  const hash = new ContentHash()
  await hashInSlices([hash, ...alsoInto], bytes, signal)
  const found = hash.contentId()
  if (found !== chunk_hash) throw new ChunkHashMismatchError(chunk_id, found)
}
