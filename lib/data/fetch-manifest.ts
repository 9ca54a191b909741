/** The fetch manifest: which file holds which microshard, and what it must hash to (spec planning#fetch-manifest). */

import {
  contentId,
  type DatasetViewId,
  type MicroShard,
  type MicroShardId,
  type MicroShardPlan,
  type ShardFetchEntry,
  type ShardFetchManifest,
} from '../schema/index.js'
import { ManifestChangedError, PlanMismatchError } from './errors.js'
import { checkLocator, quote, shardFileName } from './locator.js'
import { parseManifest } from './manifest-json.js'
import { indexUnique, planIndex } from './plan-index.js'
import type { OperationOptions } from '../core/abort.js'
import { TimeSlices } from '../core/time-slices.js'

/**
 * The manifest of shards under their default locators: five digits of the ordinal, `.bin`.
 *
 * @param contentOf the bytes of a microshard; they are hashed and not kept
 */
export async function fromMicroshards(
  datasetViewId: DatasetViewId,
  microshards: Iterable<MicroShard>,
  contentOf: (microshard: MicroShard) => Uint8Array | Promise<Uint8Array>,
): Promise<ShardFetchManifest> {
  const entries: ShardFetchEntry[] = []
  for (const microshard of microshards) {
    const { microshard_id, ordinal } = microshard
    const bytes = await contentOf(microshard)
    entries.push({
      microshard_id,
      ordinal,
      locator: shardFileName(ordinal),
      content_hash: contentId(bytes),
      bytes_len: bytes.byteLength,
    })
  }
  return { dataset_view_id: datasetViewId, entries }
}

/** The first entry of a microshard; undefined when there is none. */
export function fetchEntry(
  manifest: ShardFetchManifest,
  microshard: MicroShardId,
): ShardFetchEntry | undefined {
  return manifest.entries.find((entry) => entry.microshard_id === microshard)
}

/** A manifest that has been checked, with its entries by id. Make it with {@link CheckedManifest.of}. */
export class CheckedManifest {
  readonly manifest: ShardFetchManifest
  readonly #entries: ReadonlyMap<MicroShardId, ShardFetchEntry>
  readonly #fits = new WeakSet<MicroShardPlan>()

  private constructor(
    manifest: ShardFetchManifest,
    entries: ReadonlyMap<MicroShardId, ShardFetchEntry>,
  ) {
    this.manifest = manifest
    this.#entries = entries
  }

  /**
   * Checks what a manifest says by itself: locators are safe, ids and ordinals unique.
   *
   * @throws UnsafeLocatorError, DuplicateEntryError, AbortError
   */
  static async of(
    manifest: ShardFetchManifest,
    options: OperationOptions = {},
  ): Promise<CheckedManifest> {
    const slices = new TimeSlices('read a fetch manifest', options)
    for (const entry of manifest.entries) {
      if (slices.due()) await slices.pause()
      checkLocator(entry.locator)
    }
    const entries = await indexUnique(manifest.entries, 'The fetch manifest', options)
    return new CheckedManifest(manifest, entries)
  }

  /**
   * Reads and checks the JSON of a manifest.
   *
   * @throws as {@link parseManifest} and {@link CheckedManifest.of} do
   */
  static async parse(
    bytes: Uint8Array,
    what: string,
    options: OperationOptions & { readonly maxBytes: number },
  ): Promise<CheckedManifest> {
    return CheckedManifest.of(await parseManifest(bytes, what, options), options)
  }

  get(microshard: MicroShardId): ShardFetchEntry | undefined {
    return this.#entries.get(microshard)
  }

  /**
   * Checks that the manifest is of a plan: same view, and every entry a microshard of the plan at its ordinal.
   * The plan may have microshards that the manifest lacks.
   *
   * @throws PlanMismatchError, DuplicateEntryError, AbortError
   */
  async checkAgainst(plan: MicroShardPlan, options: OperationOptions = {}): Promise<void> {
    if (this.#fits.has(plan)) return
    const { dataset_view_id, entries } = this.manifest
    const planned = plan.dataset_view.dataset_view_id
    if (dataset_view_id !== planned) {
      throw new PlanMismatchError(
        `The fetch manifest is of the view ${quote(dataset_view_id)}, the plan of ${quote(planned)}; ` +
          'check the upstream',
      )
    }
    const index = await planIndex(plan, options)
    const slices = new TimeSlices('compare a fetch manifest with its plan', options)
    for (const { microshard_id, ordinal } of entries) {
      if (slices.due()) await slices.pause()
      const microshard = index.get(microshard_id)
      if (microshard?.ordinal === ordinal) continue
      const says = `The fetch manifest has the microshard ${quote(microshard_id)} at ordinal ${ordinal}`
      throw new PlanMismatchError(
        microshard
          ? `${says}, the plan has it at ${microshard.ordinal}; ${PLAN_REMEDY}`
          : `${says}, the plan does not have it; ${PLAN_REMEDY}`,
      )
    }
    this.#fits.add(plan)
  }

  /**
   * This manifest as the successor of one that was accepted before.
   *
   * A view does not change its contents once they are in use: entries may be added, may move to another locator,
   * and may be corrected as long as their shard was never fetched; but an entry whose shard is here keeps hash,
   * length and ordinal. Entries that are gone upstream are kept.
   *
   * @param isHere tells which of some entries of the earlier manifest have their shard here
   * @returns the earlier manifest itself when this one says nothing new
   * @throws ManifestChangedError naming microshards whose contents changed
   */
  async succeed(
    earlier: CheckedManifest,
    isHere: (entries: readonly ShardFetchEntry[]) => Promise<readonly ShardFetchEntry[]>,
    options: OperationOptions = {},
  ): Promise<CheckedManifest> {
    const slices = new TimeSlices('compare fetch manifests', options)
    const changed: ShardFetchEntry[] = []
    const gone: ShardFetchEntry[] = []
    let moved = false
    for (const before of earlier.manifest.entries) {
      if (slices.due()) await slices.pause()
      const now = this.get(before.microshard_id)
      if (now === undefined) gone.push(before)
      else if (!sameContent(before, now)) changed.push(before)
      else if (before.locator !== now.locator) moved = true
    }
    const refused = changed.length === 0 ? [] : await isHere(changed)
    if (refused.length > 0) throw this.#changed(refused)
    const kept = earlier.manifest.entries.length - gone.length
    const added = this.manifest.entries.length - kept
    if (!moved && changed.length === 0 && added === 0) return earlier
    if (gone.length === 0) return this
    const entries = [...this.manifest.entries, ...gone]
    return CheckedManifest.of({ ...this.manifest, entries }, options)
  }

  #changed(entries: readonly ShardFetchEntry[]): ManifestChangedError {
    const named = entries.slice(0, MAX_NAMED).map(({ microshard_id }) => quote(microshard_id))
    return new ManifestChangedError(
      `The upstream changed the contents of ${entries.length} microshards in use of the view ` +
        `${quote(this.manifest.dataset_view_id)}, such as ${named.join(', ')}; publish new contents ` +
        'under a new dataset_view_id, or delete the folder of the view from the cache to accept them',
    )
  }
}

const PLAN_REMEDY = 'make the manifest from the plan, and give another plan another dataset_view_id'

/** Most microshards that one error names. */
const MAX_NAMED = 3

function sameContent(a: ShardFetchEntry, b: ShardFetchEntry): boolean {
  return a.content_hash === b.content_hash && a.bytes_len === b.bytes_len && a.ordinal === b.ordinal
}
