/** The formats: records, ids, deterministic CBOR, JSON, timestamps (spec formats). */

export type { Flavoured } from './branded.js'
export {
  Codec,
  type CodecParts,
  type Decode,
  type Infer,
  type JsonReadOptions,
  type ReadSteps,
  type WireReadOptions,
} from './codec.js'
export type { Steps } from '../core/steps.js'
export {
  list,
  map,
  optional,
  record,
  setOf,
  skipEmpty,
  skipNull,
  textSet,
  tolerantList,
  tuple,
  withDefault,
  type Fields,
  type RecordOf,
} from './containers.js'
export { MAX_JSON_BYTES, MAX_JSON_DEPTH } from '../json/constants.js'
export { MAX_PATH_COMPONENT_BYTES, MAX_WIRE_BYTES } from './constants.js'
export {
  contentId,
  contentIdFromDigest,
  contentIdOf,
  contentIdOfAsync,
  isContentId,
} from './content-id.js'
export * from './ids.js'
export type { JsonValue } from '../json/parser.js'
export { parseJson, parseJsonAsync, type JsonAsyncOptions, type JsonLimits } from '../json/read.js'
export type { JsonStyle } from '../json/write.js'
export { INVALID, Issues, type Issue, type Read, type UnknownFields } from './issues.js'
export { pathComponent } from './path-component.js'
export {
  bool,
  bytes,
  f32Array,
  f64,
  i64,
  i64Exact,
  i8,
  text,
  textOf,
  u128,
  u16,
  u32,
  u64,
  u64Exact,
  u8,
} from './primitives.js'
export * from './records/aggregate-stats.js'
export * from './records/artifact.js'
export * from './records/config.js'
export * from './records/dataset.js'
export * from './records/evaluation.js'
export * from './records/head.js'
export * from './records/lease.js'
export * from './records/patch.js'
export * from './records/pipeline.js'
export * from './records/protocol.js'
export * from './records/workload.js'
export {
  addSeconds,
  compareTimestamps,
  Timestamp,
  timestamp,
  timestampDate,
  timestampFromNanoseconds,
  timestampNanoseconds,
  timestampNow,
} from './timestamp.js'
export { anyValue, json, jsonFrom, Metrics, MetricValue, PatchValue } from './values.js'
export { kinds, names, variants, type KindOf, type VariantOf, type Variants } from './variants.js'
export type { WireMark, WireReader } from './wire-reader.js'
export { compareUtf8, isWellFormed, type Wire } from '../json/wire.js'
