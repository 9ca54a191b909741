/** Small safetensors shards made here, for tests that need a dataset and no torch. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** One safetensors file with `labels` int64 [examples]. */
export function shard(examples: number): Buffer {
  const bytes = examples * 8
  const header = { labels: { dtype: 'I64', shape: [examples], data_offsets: [0, bytes] } }
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, Buffer.alloc(bytes)])
}

/** A folder with `count` shards of `examples` examples each. */
export async function writeShards(root: string, count: number, examples: number): Promise<void> {
  await mkdir(root, { recursive: true })
  for (let i = 0; i < count; i++) {
    const name = `${String(i).padStart(5, '0')}.safetensors`
    await writeFile(join(root, name), shard(examples))
  }
}
