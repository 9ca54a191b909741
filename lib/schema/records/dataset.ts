/** Datasets and their microshards (spec formats#records, planning#microshards and planning#fetch-manifest). */

import type { Infer } from '../codec.js'
import { list, map, optional, record, tuple, withDefault } from '../containers.js'
import { contentIdOf } from '../content-id.js'
import { ContentId, DatasetId, DatasetViewId, MicroShardId } from '../ids.js'
import { bool, text, u32, u64 } from '../primitives.js'
import { variants } from '../variants.js'

/** Free text by name. */
export type Metadata = Readonly<Record<string, string>>

/** Free text by name. */
export const Metadata = map(text)

/** What a dataset is: its source, its format and the hash of its manifest. */
export const DatasetManifest = record('DatasetManifest', {
  dataset_id: DatasetId,
  source_uri: text,
  format: text,
  manifest_hash: ContentId,
  metadata: Metadata,
})
export type DatasetManifest = Infer<typeof DatasetManifest>

/** One prepared form of a dataset: how it was preprocessed and tokenized. */
export const DatasetView = record('DatasetView', {
  dataset_view_id: DatasetViewId,
  dataset_id: DatasetId,
  preprocessing_hash: ContentId,
  tokenizer_hash: optional(ContentId),
  manifest_hash: ContentId,
  metadata: Metadata,
})
export type DatasetView = Infer<typeof DatasetView>

/** Where a dataset's shards come from. Only `Local` and `Http` can be fetched (spec planning#shard-cache). */
export const UpstreamAdapter = variants('UpstreamAdapter', {
  Hf: record('Hf', {
    dataset: text,
    config: optional(text),
    split: text,
    streaming: bool,
    num_shards: optional(u32),
  }),
  Http: record('Http', { base_url: text }),
  Local: record('Local', { root: text }),
  S3: record('S3', { bucket: text, prefix: text }),
  Private: record('Private', { scheme: text, locator: text }),
})
export type UpstreamAdapter = Infer<typeof UpstreamAdapter>

/** A dataset, a view of it, and where its shards come from. */
export const DatasetRegistration = record('DatasetRegistration', {
  manifest: DatasetManifest,
  view: DatasetView,
  upstream: UpstreamAdapter,
})
export type DatasetRegistration = Infer<typeof DatasetRegistration>

/** Size of a whole dataset; 0 where not known. */
export const DatasetSizing = record('DatasetSizing', {
  total_examples: u64,
  total_tokens: u64,
  total_bytes: withDefault(u64, () => 0),
})
export type DatasetSizing = Infer<typeof DatasetSizing>

/** One part of a dataset; the estimates are its shares of the {@link DatasetSizing}. */
export const MicroShard = record('MicroShard', {
  microshard_id: MicroShardId,
  dataset_view_id: DatasetViewId,
  ordinal: u32,
  estimated_examples: u64,
  estimated_tokens: u64,
  estimated_bytes: u64,
})
export type MicroShard = Infer<typeof MicroShard>

const microShardHash = tuple('MicroShardId hash', DatasetViewId, u32, u64, u64, u64)

/** The id of a microshard, from everything else in it (spec formats#derived-ids). */
export function microShardId(shard: Omit<MicroShard, 'microshard_id'>): MicroShardId {
  const id: string = contentIdOf(microShardHash, [
    shard.dataset_view_id,
    shard.ordinal,
    shard.estimated_examples,
    shard.estimated_tokens,
    shard.estimated_bytes,
  ])
  return id
}

/** A view of a dataset, cut into microshards. */
export const MicroShardPlan = record('MicroShardPlan', {
  dataset_view: DatasetView,
  sizing: DatasetSizing,
  microshards: list(MicroShard),
})
export type MicroShardPlan = Infer<typeof MicroShardPlan>

/** How a dataset is cut into microshards (spec planning#microshards); all fields are required when read. */
export const MicroShardPlannerConfig = record('MicroShardPlannerConfig', {
  target_microshard_bytes: u64,
  min_microshards: u32,
  max_microshards: u32,
})
export type MicroShardPlannerConfig = Infer<typeof MicroShardPlannerConfig>

/** Where one microshard's file is, relative to the manifest, and what it must hash to. */
export const ShardFetchEntry = record('ShardFetchEntry', {
  microshard_id: MicroShardId,
  ordinal: u32,
  locator: text,
  content_hash: ContentId,
  bytes_len: u64,
})
export type ShardFetchEntry = Infer<typeof ShardFetchEntry>

/** `fetch-manifest.json`, written pretty. Locators come from a peer: check them before use as paths. */
export const ShardFetchManifest = record('ShardFetchManifest', {
  dataset_view_id: DatasetViewId,
  entries: list(ShardFetchEntry),
})
export type ShardFetchManifest = Infer<typeof ShardFetchManifest>

/** A microshard whose file is on this machine. */
export const CachedMicroShard = record('CachedMicroShard', {
  microshard: MicroShard,
  path: text,
  content_hash: ContentId,
  bytes_len: u64,
})
export type CachedMicroShard = Infer<typeof CachedMicroShard>
