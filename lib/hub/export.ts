/** An artifact becomes a model folder in the layout of Hugging Face. */

import { mkdir, readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { OperationOptions } from '../core/abort.js'
import { writeFileAtomic } from '../files/atomic-write.js'
import { readSafetensorsHeader } from '../safetensors/index.js'
import { HubFolderError } from './errors.js'
import { renamed, type Rename } from './names.js'
import { INDEX, type HubTensor } from './read.js'
import { writeTensors } from './write.js'

/** Data of a shard at most, unless one tensor alone has more, in bytes: 5 GB, as transformers has it. */
export const MAX_SHARD_BYTES = 5_000_000_000

/** How a folder is made. */
export interface HubExport extends OperationOptions {
  /** What `config.json` says, such as `{ model_type: 'llama', … }`; the weights alone make no model. */
  readonly config: Readonly<Record<string, unknown>>
  /** What each tensor is called in the folder. Default: as in the artifact. */
  readonly rename?: Rename | undefined
  /** Data of each file at most, in bytes; with more, there are several files and an index. Default {@link MAX_SHARD_BYTES}. */
  readonly maxShardBytes?: number | undefined
}

/** What was written. */
export interface HubExported {
  /** Names of all files, the last one to be complete at the end. */
  readonly files: readonly string[]
  readonly tensors: number
  /** Data of all tensors, in bytes. */
  readonly bytes: number
}

/**
 * Writes the tensors of a safetensors file, such as an artifact, and a config into a folder that has neither yet.
 * Each file appears when it is whole, `config.json` last.
 *
 * @param artifact a safetensors file
 * @throws HubFolderError when the folder holds a model already, or names collide
 * @throws SafetensorsHeaderError, SafetensorsIoError when the artifact cannot be read
 * @throws AbortError when the signal fires
 */
export async function exportHubFolder(
  artifact: string,
  folder: string,
  { config, rename = (name) => name, maxShardBytes = MAX_SHARD_BYTES, signal }: HubExport,
): Promise<HubExported> {
  if (!Number.isSafeInteger(maxShardBytes) || maxShardBytes < 1) {
    throw new HubFolderError(
      `Cannot export: maxShardBytes must be a whole number from 1 on, got ${maxShardBytes}`,
    )
  }
  const path = resolve(folder)
  await mkdir(path, { recursive: true })
  const taken = (await readdir(path)).find(
    (name) => name === 'config.json' || /^model.*\.safetensors(\.index\.json)?$/.test(name),
  )
  if (taken !== undefined) {
    throw new HubFolderError(
      `Cannot export to ${JSON.stringify(path)}: it has ${JSON.stringify(taken)} already; choose another folder`,
    )
  }
  const file = resolve(artifact)
  const { tensors, dataStart } = await readSafetensorsHeader(file, { signal })
  const named = renamed(
    tensors.map(({ offset, ...tensor }) => ({ ...tensor, file, start: dataStart + offset })),
    rename,
  ).sort((a, b) => (a.name < b.name ? -1 : 1))
  const shards = shardsOf(named, maxShardBytes)
  const bytes = named.reduce((sum, tensor) => sum + tensor.bytes, 0)
  const files: string[] = []
  const places: Record<string, string> = {}
  for (const [index, shard] of shards.entries()) {
    const name = shards.length === 1 ? 'model.safetensors' : shardName(index, shards.length)
    await writeTensors(join(path, name), shard, { format: 'pt' }, { signal })
    files.push(name)
    for (const tensor of shard) places[tensor.name] = name
  }
  const json = async (name: string, value: unknown): Promise<void> => {
    await writeFileAtomic(join(path, name), `${JSON.stringify(value, null, 2)}\n`, { signal })
    files.push(name)
  }
  if (shards.length > 1) await json(INDEX, { metadata: { total_size: bytes }, weight_map: places })
  await json('config.json', config)
  return { files, tensors: named.length, bytes }
}

function shardsOf(tensors: readonly HubTensor[], maxBytes: number): HubTensor[][] {
  let last: HubTensor[] = []
  const shards = [last]
  let bytes = 0
  for (const tensor of tensors) {
    if (last.length > 0 && bytes + tensor.bytes > maxBytes) {
      shards.push((last = []))
      bytes = 0
    }
    last.push(tensor)
    bytes += tensor.bytes
  }
  return shards
}

/** `model-00001-of-00003.safetensors`, as transformers names them. */
function shardName(index: number, count: number): string {
  const digits = (number: number) => String(number).padStart(5, '0')
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`
}
