/** The artifact store in a folder (spec store). */

import { resolve } from 'node:path'

import {
  ArtifactDescriptor,
  ContributionReceipt,
  HeadDescriptor,
  type ArtifactId,
  type ChunkDescriptor,
  type ChunkId,
  type ChunkingScheme,
  type ContributionReceiptId,
  type HeadId,
} from '../schema/index.js'
import type { OperationOptions } from '../core/abort.js'
import type { ArtifactReader } from './artifact-reader.js'
import { ArtifactWork } from './artifact-operations.js'
import type { StoreArtifactOptions } from './artifact-writer.js'
import type { ArtifactSource } from './chunk-feed.js'
import type { ChunkFiles, Durability } from './chunk-files.js'
import { chunkingScheme } from './chunking.js'
import { checkArtifactDescriptorAsync, type ArtifactBuildSpec } from './descriptor.js'
import {
  ArtifactRootHashMismatchError,
  ChunkHashMismatchError,
  ChunkLengthMismatchError,
  UnknownArtifactError,
  UnknownChunkError,
} from './errors.js'
import { makeFolders, withIo } from './files.js'
import { collectGarbage, type GarbageCollectionReport } from './garbage-collection.js'
import { missingBytes, requireSpace } from './space.js'
import { partsOf, type StoreSettings } from './parts.js'
import type { StoreLayout } from './store-paths.js'
import type { PinFolder } from './pin-folder.js'
import type { RecordFolder, StoredRecord, StoreRecordOptions } from './record-folder.js'
import { headFolder, receiptFolder } from './record-kinds.js'

/** How a store behaves. */
export interface StoreOptions {
  /** What a crash of the machine may cost. Default `full`. */
  readonly durability?: Durability
  /**
   * Age, in milliseconds, before which garbage collection spares chunks that neither a manifest nor a live writer names.
   * Default 0: writers claim what they write. To be set where some do not, such as the reference, and where machines
   * share a file system that shows a file to others late (NFS: up to its `acdirmax`, 60 s by default).
   */
  readonly chunkGraceMs?: number
}

/** How bytes that are at hand are stored. */
export interface StoreArtifactBytesOptions extends StoreArtifactOptions {
  /**
   * Gives the memory of the bytes away: their ArrayBuffer is detached at once, as with `postMessage`, and freed when
   * the artifact is stored, or could not be. Saves the copy and keeps others from changing the bytes meanwhile. Default
   * false.
   */
  readonly transfer?: boolean | undefined
}

/** How completeness is established. */
export interface CompletenessOptions extends OperationOptions {
  /** Reads everything and checks all hashes, instead of the sizes of the files only. Default false. */
  readonly verify?: boolean
}

/**
 * Artifacts in chunks, their manifests, pins, heads and receipts, below one folder. Files, names and ids are
 * those of the reference (spec formats#file-names, store#layout and store#descriptors): either side reads what the other wrote.
 *
 * **Memory** stays flat: an artifact passes through a few chunks' worth of buffers. **The event loop** is not kept
 * waiting: artifacts and chunks of more than 1 MiB are hashed, read and written on a thread that all stores share,
 * smaller ones in slices of 128 KiB. What a stream gives is copied into buffers of one chunk for that thread.
 *
 * **Several writers**, in one or many processes, may store the same things at the same time. A chunk that is
 * there already is compared with the new bytes, not hashed; a corrupt one is replaced.
 *
 * **Durability.** With `durability: 'full'` (the default) each chunk is synced before it gets its name, the folder
 * of chunks once before the manifest, then the manifest and its folder; pins, heads and receipts are synced with
 * their folder. So a manifest on the disk has its chunks on the disk. With `'none'` nothing is synced, which is
 * faster the smaller the chunks are; a crash of the process alone still loses nothing.
 *
 * **Garbage collection** may run at any time, in any process. A writer claims the chunks of the artifact that it stores until
 * the manifest is there, in a file that dies with its process (`artifacts/claims`); a collection frees whatever neither a
 * manifest nor a live writer names, so that it empties a full disk. To fetch an artifact whose descriptor is known, pin it
 * and store its manifest first, as {@link fetchArtifact} does: then its chunks are safe as they come in.
 *
 * **Room.** Artifacts of more than 1 MiB are refused with `InsufficientSpaceError` before anything is written when they cannot
 * fit, and what they still need is reserved against other writers. A quota is not seen in advance.
 *
 * All methods throw a `CheckpointError`: `CheckpointIoError` when the system refuses, `InvalidIdError` for an id
 * that cannot name a file. Those with a signal throw `AbortError`.
 *
 * @example
 * const store = new FsArtifactStore('storage')
 * const artifact = await store.storeArtifactFile(
 *   { kind: 'FullHead', head_id: 'head-1', precision: 'Fp32', model_schema_hash: 'schema', record_format: 'safetensors' },
 *   'model.safetensors',
 * )
 * await store.pinHead('head-1')
 * await store.materializeArtifactFile(artifact, 'copy.safetensors')
 */
export class FsArtifactStore {
  readonly #layout: StoreLayout
  readonly #chunks: ChunkFiles
  readonly #manifests: RecordFolder<ArtifactDescriptor>
  readonly #heads: RecordFolder<HeadDescriptor>
  readonly #receipts: RecordFolder<ContributionReceipt>
  readonly #pins: PinFolder
  readonly #reader: ArtifactReader
  readonly #work = new ArtifactWork()
  readonly #settings: StoreSettings
  readonly #chunkGraceMs: number

  /** @param root the folder; it is made when something is stored */
  constructor(root: string, options: StoreOptions = {}) {
    const { durability = 'full', chunkGraceMs = 0 } = options
    if (!(chunkGraceMs >= 0 && chunkGraceMs <= Number.MAX_SAFE_INTEGER)) {
      throw new RangeError(`chunkGraceMs must be a number from 0 on, not ${chunkGraceMs}`)
    }
    this.#settings = { root: resolve(root), durability }
    const { layout, chunks, manifests, pins, reader } = partsOf(this.#settings)
    this.#layout = layout
    this.#chunks = chunks
    this.#manifests = manifests
    this.#heads = headFolder(layout, durability)
    this.#receipts = receiptFolder(layout, durability)
    this.#pins = pins
    this.#reader = reader
    this.#chunkGraceMs = chunkGraceMs
  }

  /** Absolute path of the store's folder. */
  get root(): string {
    return this.#layout.root
  }

  /** Makes the folders of the store; writing operations do so themselves. */
  async ensureLayout(): Promise<void> {
    await withIo(`make the folders of the store ${JSON.stringify(this.root)}`, () =>
      makeFolders(this.#layout.folders, this.#settings.durability),
    )
  }

  // --- paths ---------------------------------------------------------------------------------------------

  /** The file of a chunk, whether it is there or not. */
  chunkPath(id: ChunkId): string {
    return this.#layout.chunk(id)
  }

  /** The file of an artifact's descriptor. */
  manifestPath(id: ArtifactId): string {
    return this.#layout.manifest(id)
  }

  /** The file that pins a head. */
  headPinPath(id: HeadId): string {
    return this.#layout.headPin(id)
  }

  /** The file that pins an artifact. */
  artifactPinPath(id: ArtifactId): string {
    return this.#layout.artifactPin(id)
  }

  /** The file of a head. */
  headPath(id: HeadId): string {
    return this.#layout.head(id)
  }

  /** The file of a receipt. */
  receiptPath(id: ContributionReceiptId): string {
    return this.#layout.receipt(id)
  }

  // --- room ----------------------------------------------------------------------------------------------

  /** How many bytes of an artifact's chunks are not in the store yet: what storing it takes. */
  async missingBytes(descriptor: ArtifactDescriptor): Promise<number> {
    await checkArtifactDescriptorAsync(descriptor)
    return withIo(`look at the chunks of artifact ${descriptor.artifact_id}`, () =>
      missingBytes(this.#layout, descriptor),
    )
  }

  /**
   * Refuses what does not fit beside what other writers have reserved.
   *
   * @throws InsufficientSpaceError
   */
  async requireSpace(bytes: number): Promise<void> {
    await withIo(`look for free space in ${JSON.stringify(this.root)}`, () =>
      requireSpace(this.#layout, bytes, () => Promise.resolve(bytes)),
    )
  }

  // --- what is there -------------------------------------------------------------------------------------

  /** Whether there is a file for the chunk; its contents are not looked at. */
  async hasChunk(id: ChunkId): Promise<boolean> {
    return withIo(
      `look for chunk ${JSON.stringify(id)}`,
      async () => (await this.#chunks.size(id)) !== undefined,
    )
  }

  /** Whether there is a manifest of the artifact. */
  async hasManifest(id: ArtifactId): Promise<boolean> {
    return this.#manifests.has(id)
  }

  /**
   * Whether the artifact has its manifest and every chunk in the right length; with `verify`, in the right bytes.
   *
   * @throws InvalidRecordError when the manifest is damaged
   */
  async hasCompleteArtifact(
    id: ArtifactId,
    { verify = false, signal }: CompletenessOptions = {},
  ): Promise<boolean> {
    try {
      const descriptor = await this.loadManifest(id)
      if (verify) await this.#work.verify(this.#settings, descriptor, { signal })
      else {
        await withIo(`look at the chunks of artifact ${descriptor.artifact_id}`, () =>
          this.#reader.requireChunks(descriptor, { signal }),
        )
      }
      return true
    } catch (error) {
      if (SIGNS_OF_INCOMPLETENESS.some((type) => error instanceof type)) return false
      throw error
    }
  }

  /** The manifests, by file name. Damaged files do not end the listing. */
  listManifests(options?: OperationOptions): AsyncGenerator<StoredRecord<ArtifactDescriptor>> {
    return this.#manifests.list(options)
  }

  /** The heads, by file name. Damaged files do not end the listing. */
  listHeads(options?: OperationOptions): AsyncGenerator<StoredRecord<HeadDescriptor>> {
    return this.#heads.list(options)
  }

  /** The receipts, by file name. Damaged files do not end the listing. */
  listReceipts(options?: OperationOptions): AsyncGenerator<StoredRecord<ContributionReceipt>> {
    return this.#receipts.list(options)
  }

  // --- manifests, heads, receipts --------------------------------------------------------------------------

  /**
   * Stores a manifest, and returns its path. Chunks may follow.
   *
   * @throws InvalidDescriptorError, ArtifactLengthMismatchError when the descriptor contradicts itself
   */
  async storeManifest(
    descriptor: ArtifactDescriptor,
    options: OperationOptions = {},
  ): Promise<string> {
    await checkArtifactDescriptorAsync(descriptor)
    // Its id is a hash of it all, so that there can be no other one.
    return this.#manifests.store(descriptor, { ...options, replace: true })
  }

  /** @throws UnknownArtifactError when there is none, InvalidRecordError when it is damaged or another artifact's */
  async loadManifest(id: ArtifactId): Promise<ArtifactDescriptor> {
    return this.#manifests.load(id)
  }

  /**
   * Stores a head, and returns its path.
   *
   * @throws ConflictingRecordError when the store holds another head of this id, unless `replace` is true
   */
  async storeHead(head: HeadDescriptor, options: StoreRecordOptions = {}): Promise<string> {
    return this.#heads.store(head, options)
  }

  /** @throws UnknownHeadError when there is none, InvalidRecordError when it is damaged or another head's */
  async loadHead(id: HeadId): Promise<HeadDescriptor> {
    return this.#heads.load(id)
  }

  /**
   * Stores a receipt, and returns its path.
   *
   * @throws ConflictingRecordError when the store holds another receipt of this id, unless `replace` is true
   */
  async storeReceipt(
    receipt: ContributionReceipt,
    options: StoreRecordOptions = {},
  ): Promise<string> {
    return this.#receipts.store(receipt, options)
  }

  /** @throws UnknownReceiptError when there is none, InvalidRecordError when it is damaged or another receipt's */
  async loadReceipt(id: ContributionReceiptId): Promise<ContributionReceipt> {
    return this.#receipts.load(id)
  }

  // --- chunks ------------------------------------------------------------------------------------------------

  /**
   * Verifies and stores one chunk, and returns its path. The bytes must not change meanwhile. It is garbage until a manifest
   * names it.
   *
   * @throws InvalidDescriptorError, ChunkLengthMismatchError, ChunkHashMismatchError; nothing is stored then
   */
  async storeChunkBytes(
    chunk: ChunkDescriptor,
    bytes: Uint8Array,
    options: OperationOptions = {},
  ): Promise<string> {
    await this.#work.storeChunk(this.#settings, chunk, bytes, options)
    return this.chunkPath(chunk.chunk_id)
  }

  /**
   * Loads and verifies one chunk, into a new ArrayBuffer.
   *
   * @throws InvalidDescriptorError, UnknownChunkError, ChunkLengthMismatchError, ChunkHashMismatchError
   */
  async loadChunkBytes(
    chunk: ChunkDescriptor,
    options: OperationOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#work.loadChunk(this.#settings, chunk, options)
  }

  // --- artifacts ---------------------------------------------------------------------------------------------

  /**
   * Stores an artifact from a stream: its chunks as they come, its manifest last. When it fails or is aborted,
   * chunks without a manifest remain for garbage collection.
   *
   * @param chunking default 8 MiB
   * @throws InvalidChunkSizeError, InvalidSourceError, ConfigError for a bad spec, what the source throws;
   *   InsufficientSpaceError; UnknownChunkError when the process slept for longer than a claim lives, and a chunk was
   *   collected
   */
  async storeArtifactReader(
    spec: ArtifactBuildSpec,
    source: ArtifactSource,
    chunking: ChunkingScheme = chunkingScheme(),
    options: StoreArtifactOptions = {},
  ): Promise<ArtifactDescriptor> {
    return this.#work.store(this.#settings, spec, source, chunking, options)
  }

  /** Stores a file as an artifact; as {@link storeArtifactReader}. */
  async storeArtifactFile(
    spec: ArtifactBuildSpec,
    path: string,
    chunking: ChunkingScheme = chunkingScheme(),
    options: StoreArtifactOptions = {},
  ): Promise<ArtifactDescriptor> {
    return this.#work.storeFile(this.#settings, spec, path, chunking, options)
  }

  /**
   * Stores bytes as an artifact; as {@link storeArtifactReader}. The bytes must not change meanwhile, or are given
   * away with `transfer: true`.
   *
   * @throws InvalidSourceError when memory cannot be given away: shared, detached already, or pooled by Node
   */
  async storeArtifactBytes(
    spec: ArtifactBuildSpec,
    bytes: Uint8Array,
    chunking: ChunkingScheme = chunkingScheme(),
    { transfer = false, ...options }: StoreArtifactBytesOptions = {},
  ): Promise<ArtifactDescriptor> {
    return transfer
      ? this.#work.storeTransferred(this.#settings, spec, bytes, chunking, options)
      : this.#work.store(this.#settings, spec, bytes, chunking, options)
  }

  /**
   * Stores an artifact whose descriptor came with it. Everything is verified before anything is written. The bytes
   * must not change meanwhile.
   *
   * @throws InvalidDescriptorError, ArtifactLengthMismatchError, ArtifactRootHashMismatchError,
   *   ChunkHashMismatchError
   */
  async storePrebuiltArtifactBytes(
    descriptor: ArtifactDescriptor,
    bytes: Uint8Array,
    options: StoreArtifactOptions = {},
  ): Promise<void> {
    await this.#work.storePrebuilt(this.#settings, descriptor, bytes, options)
  }

  /**
   * Loads and verifies a whole artifact, into a new ArrayBuffer of exactly that length, which may be transferred.
   * It is allocated once all chunks are known to be there.
   *
   * @throws InvalidDescriptorError, UnknownChunkError, ChunkLengthMismatchError, ChunkHashMismatchError,
   *   ArtifactRootHashMismatchError; ArtifactTooLongError when it is too long for one typed array
   */
  async materializeArtifactBytes(
    descriptor: ArtifactDescriptor,
    options: OperationOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#work.load(this.#settings, descriptor, options)
  }

  /**
   * Writes a whole artifact to a file, and returns its path. The file appears, or is replaced, once everything is
   * verified; missing folders are made.
   *
   * @throws as {@link materializeArtifactBytes}; the file is untouched then
   */
  async materializeArtifactFile(
    descriptor: ArtifactDescriptor,
    path: string,
    options: OperationOptions = {},
  ): Promise<string> {
    await this.#work.writeFile(this.#settings, descriptor, path, options)
    return path
  }

  /**
   * Reads a whole artifact and checks every hash, in the memory of a few chunks.
   *
   * @throws as {@link materializeArtifactBytes}
   */
  async verifyArtifact(
    descriptor: ArtifactDescriptor,
    options: OperationOptions = {},
  ): Promise<void> {
    await this.#work.verify(this.#settings, descriptor, options)
  }

  // --- pins and garbage --------------------------------------------------------------------------------------

  /** Keeps the artifacts of a head, which need not be there yet, from garbage collection. */
  async pinHead(id: HeadId): Promise<void> {
    await this.#pins.add(this.headPinPath(id), id)
  }

  /** Keeps an artifact, which need not be there yet, from garbage collection. */
  async pinArtifact(id: ArtifactId): Promise<void> {
    await this.#pins.add(this.artifactPinPath(id), id)
  }

  /** Takes a pin back; false when there was none. */
  async unpinHead(id: HeadId): Promise<boolean> {
    return this.#pins.remove(this.headPinPath(id))
  }

  /** Takes a pin back; false when there was none. */
  async unpinArtifact(id: ArtifactId): Promise<boolean> {
    return this.#pins.remove(this.artifactPinPath(id))
  }

  /** The ids of all pinned heads. */
  async pinnedHeads(): Promise<ReadonlySet<HeadId>> {
    return this.#pins.ids('head-')
  }

  /** The ids of all pinned artifacts. */
  async pinnedArtifacts(): Promise<ReadonlySet<ArtifactId>> {
    return this.#pins.ids('artifact-')
  }

  /**
   * Deletes manifests that are pinned neither themselves nor through their `head_id`, then chunks that neither a remaining
   * manifest nor a live writer names, and left-over temporary files.
   *
   * @throws InvalidRecordError when a manifest cannot be read; nothing is deleted then
   */
  async garbageCollect(options: OperationOptions = {}): Promise<GarbageCollectionReport> {
    return withIo(`collect garbage in ${JSON.stringify(this.root)}`, () =>
      collectGarbage(this.#layout, this.#chunkGraceMs, options),
    )
  }
}

const SIGNS_OF_INCOMPLETENESS = [
  UnknownArtifactError,
  UnknownChunkError,
  ChunkLengthMismatchError,
  ChunkHashMismatchError,
  ArtifactRootHashMismatchError,
]
