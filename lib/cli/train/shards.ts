import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../errors.js'
import type { PythonBatchRef } from '../../schema/index.js'

/**
 * The safetensors files in `root`, sorted by name and grouped in order into batches of at most
 * `perBatch` shards (spec section 5, `load_batches`; 0 counts as 1).
 *
 * Throws {@link ConfigError} when there are none.
 */
export async function shardBatches(root: string, perBatch: number): Promise<PythonBatchRef[]> {
  const shards = await findShards(root)
  const size = Math.max(1, perBatch)
  const batches: PythonBatchRef[] = []
  for (let first = 0; first < shards.length; first += size) {
    const group = shards.slice(first, first + size)
    batches.push({
      kind: 'cached_microshard_group',
      shard_paths: group.map(({ path }) => path),
      microshard_ids: group.map(({ name }) => name),
      ordinals: group.map((_, i) => first + i),
      bytes_len: group.reduce((sum, { bytes }) => sum + bytes, 0),
    })
  }
  return batches
}

async function findShards(root: string): Promise<{ name: string; path: string; bytes: number }[]> {
  const refuse = (message: string, cause?: unknown) =>
    new ConfigError('Cannot load the dataset', [{ path: 'dataset.root', message }], { cause })
  let names: string[]
  try {
    names = await readdir(root)
  } catch (cause) {
    throw refuse(`${(cause as Error).message}; run the dataset's prepare script first`, cause)
  }
  const shards = names.filter((name) => name.endsWith('.safetensors')).sort()
  if (shards.length === 0) {
    throw refuse(`no .safetensors file in ${root}; run the dataset's prepare script first`)
  }
  return Promise.all(
    shards.map(async (name) => {
      const path = join(root, name)
      return { name, path, bytes: (await stat(path)).size }
    }),
  )
}
