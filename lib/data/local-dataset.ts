/** A folder of safetensors shards as a dataset: measured once, then described by two files beside them. */

import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  DEFAULT_MICROSHARD_PLANNER_CONFIG,
  FETCH_MANIFEST_NAME,
  plan as planDataset,
} from './index.js'
import { throwIfAborted } from '../core/abort.js'
import { ConfigError } from '../errors.js'
import { writeFileAtomic } from '../files/atomic-write.js'
import { readSafetensorsHeader } from '../safetensors/index.js'
import {
  contentId,
  contentIdFromDigest,
  PythonTorchDatasetConfig,
  ShardFetchManifest,
  type Codec,
  type ContentId,
} from '../schema/index.js'

/** The file that describes the dataset: the JSON of spec project#dataset-config. */
export const DATASET_CONFIG_NAME = 'dataset.json'

const REMEDY = `remove ${DATASET_CONFIG_NAME} and ${FETCH_MANIFEST_NAME} to describe it anew`

/** Options of {@link localDataset}. */
export interface LocalDatasetOptions {
  readonly root: string
  /** The dataset's name, which goes into the ids of its microshards. */
  readonly datasetId: string
  readonly microshardsPerBatch: number
  readonly signal?: AbortSignal | undefined
}

/**
 * The dataset in `root`. Where `dataset.json` and `fetch-manifest.json` are absent they are written: one
 * microshard for each `*.safetensors` file, in the order of their names, with its hash, and as many
 * examples as the first dimension of its first tensor says. Peers fetch by those two files, so they are
 * not written again when they are there.
 *
 * Throws {@link ConfigError} when there are no shards, when one of the two files is damaged, or when the
 * folder holds other shards than they say; `ERR_SAFETENSORS` for a damaged shard.
 */
export async function localDataset(
  options: LocalDatasetOptions,
): Promise<PythonTorchDatasetConfig> {
  const { root, microshardsPerBatch } = options
  const described = await readOptional(join(root, DATASET_CONFIG_NAME))
  const manifest = await readOptional(join(root, FETCH_MANIFEST_NAME))
  if (described === null || manifest === null) return describeShards(options)
  const config = decode(PythonTorchDatasetConfig, DATASET_CONFIG_NAME, described)
  await checkShards(root, decode(ShardFetchManifest, FETCH_MANIFEST_NAME, manifest))
  return { ...config, root, microshards_per_batch: microshardsPerBatch }
}

interface Shard {
  readonly name: string
  readonly bytes: number
  readonly examples: number
  readonly hash: ContentId
}

async function describeShards(options: LocalDatasetOptions): Promise<PythonTorchDatasetConfig> {
  const { root, datasetId, microshardsPerBatch, signal } = options
  const shards: Shard[] = []
  for (const name of await shardNames(root)) {
    try {
      shards.push(await measure(root, name, signal))
    } catch (error) {
      throwIfAborted(signal, 'measure the dataset')
      throw error
    }
  }
  const sum = (field: 'bytes' | 'examples') =>
    shards.reduce((total, shard) => total + shard[field], 0)
  const contents = shards.map(({ name, hash }) => `${hash} ${name}\n`).join('')
  const config: PythonTorchDatasetConfig = {
    root,
    dataset_id: datasetId,
    dataset_view_id: `${datasetId}-view`,
    source_uri: 'local',
    format: 'safetensors',
    manifest_hash: contentId(Buffer.from(contents)),
    preprocessing_hash: contentId(Buffer.from('none')),
    tokenizer_hash: null,
    sizing: { total_examples: sum('examples'), total_tokens: 0, total_bytes: sum('bytes') },
    // As many microshards as there are files, whatever their size.
    planner: {
      ...DEFAULT_MICROSHARD_PLANNER_CONFIG,
      min_microshards: shards.length,
      max_microshards: shards.length,
    },
    microshards_per_batch: microshardsPerBatch,
    metadata: {},
  }
  const { microshards } = await planDataset(config, { signal })
  const manifest: ShardFetchManifest = {
    dataset_view_id: config.dataset_view_id,
    entries: microshards.flatMap(({ microshard_id, ordinal }) => {
      const shard = shards[ordinal]
      if (shard === undefined) return []
      const { name, hash, bytes } = shard
      return { microshard_id, ordinal, locator: name, content_hash: hash, bytes_len: bytes }
    }),
  }
  await writeFileAtomic(
    join(root, FETCH_MANIFEST_NAME),
    ShardFetchManifest.toJson(manifest, { pretty: true }),
  )
  await writeFileAtomic(
    join(root, DATASET_CONFIG_NAME),
    PythonTorchDatasetConfig.toJson(config, { pretty: true }),
  )
  return config
}

async function shardNames(root: string): Promise<string[]> {
  let names: string[]
  try {
    names = await readdir(root)
  } catch (cause) {
    throw refused(`${(cause as Error).message}; run the dataset's prepare script first`, cause)
  }
  const shards = names.filter((name) => name.endsWith('.safetensors')).sort()
  if (shards.length > 0) return shards
  throw refused(`no .safetensors file in ${root}; run the dataset's prepare script first`)
}

async function measure(root: string, name: string, signal?: AbortSignal): Promise<Shard> {
  const path = join(root, name)
  const { tensors } = await readSafetensorsHeader(path)
  const hash = createHash('sha256')
  for await (const piece of createReadStream(path, { signal })) hash.update(piece as Buffer)
  return {
    name,
    bytes: (await stat(path)).size,
    examples: tensors[0]?.shape[0] ?? 0,
    hash: contentIdFromDigest(hash.digest()),
  }
}

/** The files must be there in the right lengths; its hash is checked when it is fetched. */
async function checkShards(root: string, manifest: ShardFetchManifest): Promise<void> {
  const names = await shardNames(root)
  if (names.length !== manifest.entries.length) {
    throw refused(
      `${root} holds ${names.length} shards, ${FETCH_MANIFEST_NAME} lists ${manifest.entries.length}; ${REMEDY}`,
    )
  }
  for (const { locator, bytes_len } of manifest.entries) {
    const size = names.includes(locator) ? (await stat(join(root, locator))).size : null
    if (size !== bytes_len) {
      throw refused(
        `${locator} is ${size === null ? 'not there' : `${size} bytes long`}, ` +
          `${FETCH_MANIFEST_NAME} says ${bytes_len} bytes; ${REMEDY}`,
      )
    }
  }
}

async function readOptional(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw refused((error as Error).message, error)
  }
}

function decode<T>(codec: Codec<T>, name: string, bytes: Buffer): T {
  try {
    return codec.fromJson(bytes)
  } catch (cause) {
    throw refused(`${name} is damaged: ${(cause as Error).message}; ${REMEDY}`, cause)
  }
}

function refused(message: string, cause?: unknown): ConfigError {
  return new ConfigError('Cannot load the dataset', [{ path: 'dataset.root', message }], { cause })
}
