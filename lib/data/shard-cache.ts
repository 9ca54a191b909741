/** The shards of leases, as verified files on this machine (spec planning#shard-cache). */

import { lstat, readdir, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { isTempFileName, removeLeftoverTempFiles } from '../files/atomic-write.js'
import { makeFolder } from '../files/make-folder.js'
import {
  pathComponent,
  UpstreamAdapter,
  type AssignmentLease,
  type CachedMicroShard,
  type DatasetRegistration,
  type DatasetViewId,
  type MicroShard,
  type MicroShardId,
  type MicroShardPlan,
  type ShardFetchEntry,
  type ShardFetchManifest,
} from '../schema/index.js'
import {
  FETCH_CONCURRENCY,
  FETCH_MANIFEST_NAME,
  MAX_FETCH_MANIFEST_BYTES,
  MAX_SHARD_BYTES,
} from './constants.js'
import type { HttpTimeouts } from './download.js'
import {
  DuplicateEntryError,
  MissingFetchEntryError,
  PlanMismatchError,
  UnknownLeasedMicroShardError,
  UnsafeLocatorError,
  type DataError,
} from './errors.js'
import { CheckedManifest } from './fetch-manifest.js'
import { ioError, quote, shardFileName } from './locator.js'
import { readManifest } from './manifest-json.js'
import { mapLimited } from '../core/concurrency.js'
import { planIndex } from './plan-index.js'
import { tooLarge } from './regular-file.js'
import { ensureShardFile } from './shard-file.js'
import type { OperationOptions } from '../core/abort.js'
import { openUpstream, type ShardUpstream } from './upstream.js'
import { ViewManifest } from './view-manifest.js'

/** Options of a {@link ShardCache}; all have defaults. */
export interface ShardCacheOptions {
  /**
   * `revalidate`, the default: the upstream's manifest is asked for at every lease, and the cached one stands
   * when it cannot be had. `cached`: a cached manifest is used unasked, as the reference does.
   */
  readonly manifest?: 'revalidate' | 'cached'
  /** Told when revalidation failed and the cached manifest stands. */
  readonly onUpstreamUnreachable?: (error: DataError) => void
  /** Largest manifest, in bytes. Default {@link MAX_FETCH_MANIFEST_BYTES}. */
  readonly maxManifestBytes?: number
  /** Largest shard, in bytes. Default {@link MAX_SHARD_BYTES}. */
  readonly maxShardBytes?: number
  /** Shards fetched at a time. Default {@link FETCH_CONCURRENCY}. */
  readonly fetchConcurrency?: number
  readonly httpTimeouts?: Partial<HttpTimeouts>
  /** Opens upstreams in place of {@link openUpstream}, for kinds that it does not know. */
  readonly openUpstream?: (adapter: UpstreamAdapter) => ShardUpstream
}

/**
 * A folder of shards: `<root>/<view>/fetch-manifest.json` and `<root>/<view>/<ordinal>.bin`, where `<view>` is
 * the view's id as a file name (spec formats#file-names).
 *
 * Every id, locator and length is a peer's claim: no path that is made of them leaves the cache or the upstream's
 * root, and no file has a shard's name before its bytes were verified. Several processes may share a cache.
 */
export class ShardCache {
  readonly root: string
  readonly #options: ShardCacheOptions
  readonly #manifests = new Map<DatasetViewId, ViewManifest>()

  constructor(root: string, options: ShardCacheOptions = {}) {
    this.root = root
    this.#options = options
  }

  /** The folder of a view, whether it is there or not. */
  datasetDir(view: DatasetViewId): string {
    return join(this.root, pathComponent(view))
  }

  /** The file of a view's fetch manifest. */
  manifestPath(view: DatasetViewId): string {
    return join(this.datasetDir(view), FETCH_MANIFEST_NAME)
  }

  /** The file of a shard. */
  shardPath(view: DatasetViewId, ordinal: number): string {
    return join(this.datasetDir(view), shardFileName(ordinal))
  }

  /**
   * Makes the folder of a view, and checks that it is one in the cache.
   *
   * @throws UnsafeLocatorError when a symbolic link leads elsewhere
   * @throws DataIoError when it cannot be made
   */
  async ensureLayout(view: DatasetViewId): Promise<void> {
    const folder = this.datasetDir(view)
    try {
      await makeFolder(folder)
      if ((await realpath(folder)) === join(await realpath(this.root), pathComponent(view))) return
    } catch (cause) {
      throw ioError('make the folder', folder, cause)
    }
    throw new UnsafeLocatorError(
      `${quote(folder)} is a symbolic link out of its place; link the whole cache instead`,
    )
  }

  /**
   * Puts a manifest into the cache, in place of any that is there.
   *
   * @throws DataSchemaError when a field does not fit its format
   * @throws UnsafeLocatorError, DuplicateEntryError when it is not safe to have; DataIoError
   */
  async storeFetchManifest(
    manifest: ShardFetchManifest,
    options: OperationOptions = {},
  ): Promise<void> {
    const read = await readManifest(manifest, 'The fetch manifest to store', options)
    const checked = await CheckedManifest.of(read, options)
    await this.ensureLayout(manifest.dataset_view_id)
    await this.#manifestOf(manifest.dataset_view_id).store(checked, options)
  }

  /**
   * The manifest in the cache; undefined when there is none.
   *
   * @throws DataSchemaError, UnsafeLocatorError, DuplicateEntryError when it is damaged; DataIoError
   */
  async loadFetchManifest(
    view: DatasetViewId,
    options: OperationOptions = {},
  ): Promise<ShardFetchManifest | undefined> {
    return (await this.#manifestOf(view).load(options))?.manifest
  }

  /**
   * Fetches what is missing of a lease's microshards and verifies all of them.
   *
   * The manifest is brought up to date first ({@link ShardCacheOptions.manifest}). A view does not change its
   * contents, since leases, receipts and other peers' updates stand for them. So a new manifest may add entries,
   * move files, and correct entries that were never fetched; when it gives other contents for a shard that is in
   * the cache, it is refused, and the cache stays as it was.
   *
   * @returns the microshards in lease order, with absolute paths if the root is absolute
   * @throws PlanMismatchError, DuplicateEntryError, UnknownLeasedMicroShardError, MissingFetchEntryError,
   *   DataTooLargeError before any shard is fetched
   * @throws as `ViewManifest.follow` and `ensureShardFile` do; AbortError when the signal fires
   */
  async fetchLeaseMicroshards(
    registration: DatasetRegistration,
    plan: MicroShardPlan,
    lease: Pick<AssignmentLease, 'dataset_view_id' | 'microshards'>,
    options: OperationOptions = {},
  ): Promise<CachedMicroShard[]> {
    const view = plan.dataset_view.dataset_view_id
    if (lease.dataset_view_id !== view) {
      throw new PlanMismatchError(
        `The lease is of the view ${quote(lease.dataset_view_id)}, the plan of ${quote(view)}`,
      )
    }
    const leased = await leasedMicroshards(plan, lease.microshards, options)
    await this.ensureLayout(view)
    const upstream = () => this.#openUpstream(registration.upstream)
    const origin = UpstreamAdapter.toJson(registration.upstream)
    const manifest = await this.#manifestOf(view).follow(origin, upstream, plan, options)
    const shards = leased.map((microshard) => ({
      microshard,
      entry: this.#entryOf(manifest, microshard),
    }))
    return mapLimited(
      shards,
      this.#options.fetchConcurrency ?? FETCH_CONCURRENCY,
      async ({ microshard, entry }, signal) => {
        const path = this.shardPath(view, microshard.ordinal)
        await ensureShardFile(path, entry, upstream, { signal })
        const { content_hash, bytes_len } = entry
        return { microshard, path, content_hash, bytes_len }
      },
      options,
    )
  }

  /**
   * Deletes the files of a view but for the manifest and the shards to keep. Files that are being written are
   * left alone, and so are folders.
   *
   * @returns how many files were deleted; 0 when the cache does not have the view
   * @throws MissingFetchEntryError when there is no manifest to tell which files to keep; nothing is deleted then
   */
  async evictExcept(
    view: DatasetViewId,
    keep: Iterable<MicroShardId>,
    options: OperationOptions = {},
  ): Promise<number> {
    const folder = this.datasetDir(view)
    if (!(await isFolder(folder))) return 0
    await this.ensureLayout(view)
    const manifest = await this.#manifestOf(view).load(options)
    if (!manifest) throw noManifest(this.manifestPath(view))
    const kept = new Set([FETCH_MANIFEST_NAME])
    for (const id of keep) {
      const entry = manifest.get(id)
      if (entry) kept.add(shardFileName(entry.ordinal))
    }
    try {
      let deleted = await removeLeftoverTempFiles(folder)
      for (const file of await readdir(folder, { withFileTypes: true })) {
        if (file.isDirectory() || kept.has(file.name) || isTempFileName(file.name)) continue
        await rm(join(folder, file.name), { force: true })
        deleted++
      }
      return deleted
    } catch (cause) {
      throw ioError('clean up', folder, cause)
    }
  }

  #entryOf(manifest: CheckedManifest, { microshard_id }: MicroShard): ShardFetchEntry {
    const entry = manifest.get(microshard_id)
    if (!entry) throw missingEntry(microshard_id)
    const limit = this.#options.maxShardBytes ?? MAX_SHARD_BYTES
    if (entry.bytes_len > limit) {
      throw tooLarge(`The shard of microshard ${quote(microshard_id)}`, entry.bytes_len, limit)
    }
    return entry
  }

  #manifestOf(view: DatasetViewId): ViewManifest {
    const known = this.#manifests.get(view)
    if (known) return known
    const { manifest = 'revalidate', maxManifestBytes, onUpstreamUnreachable } = this.#options
    const made = new ViewManifest(this.manifestPath(view), {
      maxBytes: maxManifestBytes ?? MAX_FETCH_MANIFEST_BYTES,
      revalidate: manifest === 'revalidate',
      onUnreachable: (error) => onUpstreamUnreachable?.(error),
    })
    this.#manifests.set(view, made)
    return made
  }

  #openUpstream(adapter: UpstreamAdapter): ShardUpstream {
    const { openUpstream: open, httpTimeouts } = this.#options
    return open ? open(adapter) : openUpstream(adapter, httpTimeouts)
  }
}

async function leasedMicroshards(
  plan: MicroShardPlan,
  ids: readonly MicroShardId[],
  options: OperationOptions,
): Promise<MicroShard[]> {
  const index = await planIndex(plan, options)
  const seen = new Set<MicroShardId>()
  return ids.map((id) => {
    const microshard = index.get(id)
    if (!microshard) {
      throw new UnknownLeasedMicroShardError(
        `The lease has the microshard ${quote(id)}, which its plan does not have; plan the lease again`,
      )
    }
    if (seen.has(id)) {
      throw new DuplicateEntryError(`The lease has the microshard ${quote(id)} twice`)
    }
    seen.add(id)
    return microshard
  })
}

async function isFolder(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw ioError('find', path, error)
  }
}

function missingEntry(id: MicroShardId): MissingFetchEntryError {
  return new MissingFetchEntryError(
    `The fetch manifest has no entry for the microshard ${quote(id)}; complete it upstream`,
  )
}

function noManifest(path: string): MissingFetchEntryError {
  return new MissingFetchEntryError(`There is no fetch manifest ${quote(path)}; store one first`)
}
