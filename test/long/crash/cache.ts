/** The shard cache under crashes: what a process does until it is killed, and what must hold after. */
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fromMicroshards, MicroShardPlanner, ShardCache } from '../../../lib/data/index.js'
import { writeFileAtomic } from '../../../lib/files/atomic-write.js'
import {
  ShardFetchManifest,
  type CachedMicroShard,
  type DatasetRegistration,
  type MicroShardPlan,
} from '../../../lib/schema/index.js'
import { begin, done, report, type Promises } from './promises.js'
import { bytesOf, Random } from './random.js'
import { CrashTarget, type CrashSettings } from './target.js'

const VIEW = 'view/of crashes'

/** Shards in all, and in the upstream's manifest at first. */
const SHARDS = 24
const FIRST_SHARDS = 16

interface Dataset {
  readonly plan: MicroShardPlan
  readonly manifest: ShardFetchManifest
}

export class CacheTarget extends CrashTarget {
  readonly #root: string
  readonly #source: string
  #dataset: Dataset | undefined
  #published = FIRST_SHARDS
  #cache: ShardCache

  constructor(folder: string, settings: CrashSettings) {
    super(settings)
    this.#root = join(folder, 'cache')
    this.#source = join(folder, 'source')
    this.#cache = new ShardCache(this.#root)
  }

  async prepare(): Promise<void> {
    await mkdir(this.#source)
    const { manifest } = await this.#made()
    for (const { ordinal, locator } of manifest.entries)
      await writeFileAtomic(join(this.#source, locator), content(ordinal), { sync: 'none' })
    await this.#publish(FIRST_SHARDS)
  }

  async step(random: Random): Promise<void> {
    const choice = random.below(100)
    if (choice < 60) await this.#fetch(random)
    else if (choice < 75) await this.#evict(random)
    else if (choice < 85) await this.#grow()
    else if (choice < 92) await this.#storeManifest()
    // A cache that has just been opened knows nothing but its files.
    else this.#cache = new ShardCache(this.#root)
  }

  /** Whether this writer alone evicts it. */
  #isOwn(ordinal: number): boolean {
    return ordinal % this.settings.writers === this.settings.writer
  }

  async #made(): Promise<Dataset> {
    if (this.#dataset !== undefined) return this.#dataset
    const planner = new MicroShardPlanner({ target_microshard_bytes: 1 })
    const sizing = { total_examples: SHARDS, total_tokens: SHARDS, total_bytes: SHARDS }
    const plan = await planner.plan(DATASET_VIEW, sizing)
    const manifest = await fromMicroshards(VIEW, plan.microshards, ({ ordinal }) =>
      content(ordinal),
    )
    return (this.#dataset = { plan, manifest })
  }

  async #publish(count: number): Promise<void> {
    const { manifest } = await this.#made()
    const part = { ...manifest, entries: manifest.entries.slice(0, count) }
    const json = ShardFetchManifest.toJson(part, { pretty: true })
    await writeFileAtomic(join(this.#source, 'fetch-manifest.json'), json, { sync: 'none' })
  }

  async #lease(
    ordinals: readonly number[],
    { cache = this.#cache, source = this.#source } = {},
  ): Promise<CachedMicroShard[]> {
    const { plan } = await this.#made()
    const registration: DatasetRegistration = {
      manifest: {
        dataset_id: DATASET_VIEW.dataset_id,
        source_uri: 'test',
        format: 'bin',
        manifest_hash: DATASET_VIEW.manifest_hash,
        metadata: {},
      },
      view: plan.dataset_view,
      upstream: { Local: { root: source } },
    }
    const microshards = ordinals.map((ordinal) => plan.microshards[ordinal]!.microshard_id)
    const lease = { dataset_view_id: VIEW, microshards }
    return cache.fetchLeaseMicroshards(registration, plan, lease)
  }

  async #fetch(random: Random): Promise<void> {
    // Another writer may not have published what this one has.
    const limit = this.settings.writer === 0 ? this.#published : FIRST_SHARDS
    const ordinals = new Set(Array.from({ length: 1 + random.below(6) }, () => random.below(limit)))
    for (const ordinal of ordinals) {
      if (this.#isOwn(ordinal)) begin(`shard ${ordinal}`, 'cached')
    }
    const cached = await this.#lease([...ordinals])
    for (const { path, microshard } of cached) {
      const { ordinal } = microshard
      if (!this.#isOwn(ordinal)) continue
      if (!content(ordinal).equals(await readFile(path)))
        report({ type: 'problem', text: `shard ${ordinal} was given with wrong bytes` })
      done(`shard ${ordinal}`, 'cached')
    }
  }

  async #evict(random: Random): Promise<void> {
    const { manifest } = await this.#made()
    const kept = manifest.entries.filter(
      ({ ordinal }) => !this.#isOwn(ordinal) || random.below(3) > 0,
    )
    const isKept = new Set(kept.map(({ ordinal }) => ordinal))
    const evicted = manifest.entries.filter(({ ordinal }) => !isKept.has(ordinal))
    if ((await this.#cache.loadFetchManifest(VIEW)) === undefined) return
    for (const { ordinal } of evicted) begin(`shard ${ordinal}`, null)
    await this.#cache.evictExcept(
      VIEW,
      kept.map(({ microshard_id }) => microshard_id),
    )
    for (const { ordinal } of evicted) done(`shard ${ordinal}`, null)
  }

  /** The upstream gets more shards. */
  async #grow(): Promise<void> {
    if (this.settings.writer !== 0 || this.#published === SHARDS) return
    this.#published++
    await this.#publish(this.#published)
  }

  async #storeManifest(): Promise<void> {
    const { manifest } = await this.#made()
    await this.#cache.storeFetchManifest(manifest)
    done('manifest', 'stored')
  }

  async *check(promises: Promises): AsyncGenerator<string> {
    const folder = this.#cache.datasetDir(VIEW)
    await mkdir(folder, { recursive: true })
    const { manifest } = await this.#made()
    const stored = await this.#cache.loadFetchManifest(VIEW)
    if (stored === undefined && promises.manifest !== undefined) yield 'the manifest is lost'
    for (const entry of stored?.entries ?? []) {
      const right = manifest.entries[entry.ordinal]
      if (JSON.stringify(entry) !== JSON.stringify(right))
        yield `the manifest has a wrong entry: ${JSON.stringify(entry)}`
    }
    yield* this.#checkShards(folder, promises)

    // The cache alone must have what was promised.
    const promised = ordinalsOf(promises, (values) => !values.includes(null))
    const gone = { cache: new ShardCache(this.#root), source: join(folder, 'nowhere') }
    if (promised.length > 0) yield* this.#checkLease(promised, gone)
    yield* this.#checkLease([...manifest.entries.keys()].slice(0, FIRST_SHARDS), {})

    const everything = manifest.entries.map(({ microshard_id }) => microshard_id)
    await this.#cache.evictExcept(VIEW, everything)
    for (const name of await readdir(folder)) {
      if (name !== 'fetch-manifest.json' && !/^\d{5}\.bin$/.test(name)) yield `${name} is left`
    }
    yield* this.#checkShards(folder, promises)
  }

  async *#checkLease(
    ordinals: readonly number[],
    options: { cache?: ShardCache; source?: string },
  ): AsyncGenerator<string> {
    for (const { path, microshard } of await this.#lease(ordinals, options)) {
      if (!content(microshard.ordinal).equals(await readFile(path)))
        yield `shard ${microshard.ordinal} was given with wrong bytes after the crash`
    }
  }

  async *#checkShards(folder: string, promises: Promises): AsyncGenerator<string> {
    const here = new Set<number>()
    for (const name of await readdir(folder)) {
      if (!/^\d{5}\.bin$/.test(name)) continue
      const ordinal = Number.parseInt(name)
      here.add(ordinal)
      if (!content(ordinal).equals(await readFile(join(folder, name))))
        yield `the file ${name} has wrong bytes`
    }
    for (const ordinal of ordinalsOf(promises, (values) => !values.includes(null))) {
      if (!here.has(ordinal)) yield `shard ${ordinal} is lost`
    }
  }
}

function ordinalsOf(
  promises: Promises,
  isMeant: (values: Promises[string] & object) => boolean,
): number[] {
  return Object.entries(promises)
    .filter(([name, values]) => name.startsWith('shard ') && isMeant(values))
    .map(([name]) => Number(name.slice('shard '.length)))
}

/** From 1 byte to 600 KB, so that a shard is one piece or several. */
function content(ordinal: number): Buffer {
  return bytesOf(1000 + ordinal, ordinal % 6 === 5 ? 600_000 : 1 + ordinal * 1777)
}

const DATASET_VIEW = {
  dataset_view_id: VIEW,
  dataset_id: 'dataset-1',
  preprocessing_hash: 'preprocessing-1',
  tokenizer_hash: null,
  manifest_hash: 'manifest-1',
  metadata: {},
}
