/**
 * Reads and writes records of many entries, beside JSON.parse and JSON.stringify on the same texts.
 *
 *   node dist/bench/schema-json.js [largest number of entries, default 100000]
 *
 * Reading starts from the bytes of a file and ends with a checked record; JSON.parse gets the decoded bytes and
 * checks nothing. Runs are interleaved, the medians of their times are shown. "first" is the first run in this
 * process at the smallest number of entries, before V8 has compiled anything.
 */

import { arch, cpus, loadavg, platform, release } from 'node:os'
import { performance } from 'node:perf_hooks'

import {
  ArtifactDescriptor,
  contentId,
  json,
  jsonFrom,
  ShardFetchManifest,
  type Codec,
  type JsonValue,
} from '../lib/schema/index.js'

const [largest = '100000'] = process.argv.slice(2)
const COUNTS = [100, 1000, 10_000, 100_000].filter((count) => count <= Number(largest))

const hash = (index: number): string => contentId(Buffer.from(String(index)))

const manifest = (count: number): ShardFetchManifest => ({
  dataset_view_id: 'view-1',
  entries: Array.from({ length: count }, (_, index) => ({
    microshard_id: hash(index),
    ordinal: index,
    locator: `${String(index).padStart(5, '0')}.bin`,
    content_hash: hash(-index),
    bytes_len: 1_000_000 + index,
  })),
})

const artifact = (count: number): ArtifactDescriptor => ({
  artifact_id: hash(0),
  kind: 'FullHead',
  head_id: 'head-1',
  base_head_id: null,
  precision: 'Fp32',
  model_schema_hash: 'schema',
  record_format: 'python-torch-safetensors',
  bytes_len: count * 262_144,
  chunks: Array.from({ length: count }, (_, index) => ({
    chunk_id: hash(index),
    offset_bytes: index * 262_144,
    length_bytes: 262_144,
    chunk_hash: hash(index),
  })),
  root_hash: hash(1),
})

/** Free JSON with what the records lack: floats, escapes, texts beyond ASCII, nesting, unlike objects. */
const free = (count: number): JsonValue =>
  jsonFrom(
    Array.from({ length: count }, (_, index) => ({
      name: `entry ${index} "${index % 3 === 0 ? 'é' : 'e'}"`,
      weights: [Math.sin(index), index / 4, -index],
      [`key-${index % 7}`]: { on: index % 2 === 0, none: null },
    })),
  )

interface Case<T> {
  readonly name: string
  readonly codec: Codec<T>
  readonly make: (count: number) => T
}

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[times.length >> 1] ?? NaN
}

function timed(times: number[], work: () => unknown): void {
  const start = performance.now()
  work()
  times.push(performance.now() - start)
}

function measure<T>({ name, codec, make }: Case<T>): void {
  for (const count of COUNTS) {
    const value = make(count)
    const text = codec.toJson(value, { pretty: true })
    const bytes = Buffer.from(text)
    const parsed: unknown = JSON.parse(text)
    const decoder = new TextDecoder('utf-8', { fatal: true })
    const times = { read: [], parse: [], write: [], stringify: [] } as Record<string, number[]>
    const { read = [], parse = [], write = [], stringify = [] } = times
    const runs = Math.max(9, Math.min(101, 200_000 / count))
    for (let run = 0; run < runs; run++) {
      timed(read, () => codec.fromJson(bytes))
      timed(parse, () => JSON.parse(decoder.decode(bytes)))
      // Both texts are asked for as bytes, so that neither stays half made.
      timed(write, () => Buffer.from(codec.toJson(value, { pretty: true })))
      timed(stringify, () => Buffer.from(JSON.stringify(parsed, null, 2)))
    }
    const [first = NaN] = read
    const row = [median(read), median(parse), median(write), median(stringify)] as const
    const ms = (milliseconds: number) => milliseconds.toFixed(2).padStart(9)
    const ratio = (a: number, b: number) => `${(a / b).toFixed(1)}x`.padStart(7)
    console.log(
      name.padEnd(16) +
        String(count).padStart(7) +
        (bytes.length / 1e6).toFixed(2).padStart(8) +
        ms(row[0]) +
        ms(row[1]) +
        ratio(row[0], row[1]) +
        ms(row[2]) +
        ms(row[3]) +
        ratio(row[2], row[3]) +
        (count === COUNTS[0] ? ms(first) : ''),
    )
  }
}

const [cpu] = cpus()
console.log(
  `${platform()} ${release()} ${arch()}, ${cpus().length} x ${cpu?.model ?? 'unknown'}, ` +
    `load ${loadavg()[0]?.toFixed(1) ?? ''}, node ${process.version}; milliseconds\n`,
)
console.log(
  'record          entries      MB     read    parse  ratio    write  stringify ratio    first',
)
measure({ name: 'fetch manifest', codec: ShardFetchManifest, make: manifest })
measure({ name: 'artifact', codec: ArtifactDescriptor, make: artifact })
measure({ name: 'free JSON', codec: json, make: free })
