/** Valid JSON for every codec that the package exports. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as lineage from '../../lib/lineage/index.js'
import * as schema from '../../lib/schema/index.js'
import { Codec, json, parseJson, type JsonValue } from '../../lib/schema/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'

const FOLDER = join(packageRoot(), 'test', 'schema', 'fixtures')

const TIME = '"2026-01-02T03:04:05Z"'
const NAMES = '"study_id":"s","experiment_id":"e","revision_id":"r","base_head_id":"h"'
const STATS = `{"accepted_updates":2,"duplicate_updates":0,"dropped_updates":1,"late_updates":0,
  "sum_sample_weight":3.5,"sum_quality_weight":1.0,"sum_weighted_delta_norm":0.25,
  "max_update_norm":0.5,"accepted_sample_coverage":1.0}`
const PLAN = `{${NAMES},"policy":"Ema","contribution_receipt_ids":["c1"],"artifact_ids":["a1"],
  "total_weight":2.0,"aggregated_numeric_metrics":{"loss":0.5}}`
const INPUT = `{"peer_id":"p","artifact_id":"a1","sample_weight":1.0,"quality_weight":0.5,
  "receipt_ids":["c1","c2"]}`
const COST = `{"tokens_per_work_unit":1024,"examples_per_work_unit":16,
  "bytes_per_work_unit":262144,"minimum_work_units":1}`

/** Records that no stored file has. */
const MORE = [
  STATS,
  PLAN,
  INPUT,
  COST,
  `{"aggregate_id":"g",${NAMES},"policy":"WeightedMean","aggregate_stats":${STATS},
    "merge_plan":${PLAN},"inputs":[${INPUT}],"created_at":${TIME}}`,
  `{"microshard":{"microshard_id":"m","dataset_view_id":"v","ordinal":0,"estimated_examples":1,
    "estimated_tokens":2,"estimated_bytes":3},"path":"a/b.bin","content_hash":"x","bytes_len":3}`,
  '{"preferred_backends":["cuda","cpu"],"work_units_per_second":12.5,"target_window_seconds":30}',
  '{"chunk_size_bytes":4194304}',
  '{"decay":0.9,"included_heads":["h1","h2"]}',
  `{"lease_duration_seconds":60,"max_microshards_per_lease":8,"cost_model":${COST}}`,
  `{"metrics":{"loss":0.5,"steps":3,"ok":true,"note":"n"},"captured_at":${TIME}}`,
  '{"Rejected":"not now"}',
  '{"hot":true,"warm":false,"cold":true}',
  `{"workload_id":"w","workload_name":"n","model_program_hash":"m","checkpoint_format_hash":"c",
    "supported_revision_family":"f","resource_class":"standard"}`,
  '{"message":"out of memory"}',
  '["x","Hot",{"rate":0.5},["a","b"]]',
]

/** Every value of every stored file, those inside others too, each once. */
const TEXTS = [
  ...new Set(
    [...readdirSync(FOLDER).map((name) => readFileSync(join(FOLDER, name))), ...MORE]
      .flatMap((source) => [...valuesIn(parseJson(source))])
      .map((value) => json.toJson(value)),
  ),
]

/** Most samples of one codec, the longest ones. */
const MAX_SAMPLES = 8

/** Every exported codec by the name under which it is exported. */
export const CODECS: readonly (readonly [string, Codec<unknown>])[] = Object.entries({
  ...schema,
  ...lineage,
} as Readonly<Record<string, unknown>>).flatMap(([name, value]) =>
  value instanceof Codec ? [[name, value as Codec<unknown>]] : [],
)

/** Texts that the codec reads; at least one, or this throws. */
export function samplesOf(codec: Codec<unknown>): readonly [string, ...string[]] {
  const found = TEXTS.filter((text) => isRead(codec, text)).sort((a, b) => b.length - a.length)
  const [first, ...others] = found.slice(0, MAX_SAMPLES)
  if (first === undefined) throw new Error(`there is no sample of ${codec.name}; add one to MORE`)
  return [first, ...others]
}

function* valuesIn(value: JsonValue): Generator<JsonValue> {
  yield value
  if (typeof value !== 'object' || value === null) return
  for (const item of Object.values<JsonValue>(value)) yield* valuesIn(item)
}

function isRead(codec: Codec<unknown>, text: string): boolean {
  try {
    codec.fromJson(text)
    return true
  } catch {
    return false
  }
}
