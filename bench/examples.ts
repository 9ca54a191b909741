/** The workloads of examples/, and shards for them, written once below build/bench. */

import { execFile } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { PyInput, WorkloadSpec } from '../lib/index.js'
import type { PythonBatchRef } from '../lib/schema/index.js'
import { packageRoot } from '../lib/runtime/package-root.js'
import { CannotRun } from './row.js'

/** An example with the shards of one window. */
export interface ExampleWorkload {
  readonly workload: WorkloadSpec
  readonly batches: readonly PythonBatchRef[]
}

/** The MLP of examples/digits: 9,610 weights, 1,437 images in 16 shards. */
export async function digitsExample(python: string, config: PyInput): Promise<ExampleWorkload> {
  return example(python, 'digits', 'prepare.py', 'digits_workload', config)
}

/** The GPT of examples/bytes-gpt, over the source text of Python's standard library. */
export async function bytesGptExample(python: string, config: PyInput): Promise<ExampleWorkload> {
  return example(python, 'bytes-gpt', 'prepare_bytes.py', 'bytes_gpt_workload', config)
}

async function example(
  python: string,
  name: string,
  prepare: string,
  module: string,
  config: PyInput,
): Promise<ExampleWorkload> {
  const folder = join(packageRoot(), 'examples', name)
  const data = join(packageRoot(), 'build', 'bench', name)
  try {
    await promisify(execFile)(python, [join(folder, prepare), '--out', data])
  } catch (error) {
    const lines = (error as { stderr?: string }).stderr?.trim().split('\n')
    throw new CannotRun(`the data of examples/${name} cannot be written: ${lines?.at(-1) ?? ''}`)
  }
  return {
    workload: { factory: `${module}:create_workload`, config, moduleSearchRoots: [folder] },
    batches: [await batchOf(join(data, 'train'))],
  }
}

/** One batch of all shards in a folder. */
async function batchOf(folder: string): Promise<PythonBatchRef> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort()
  const shard_paths = names.map((name) => join(folder, name))
  const sizes = await Promise.all(shard_paths.map(async (path) => (await stat(path)).size))
  return {
    kind: 'cached_microshard_group',
    shard_paths,
    microshard_ids: names,
    ordinals: names.map((_, ordinal) => ordinal),
    bytes_len: sizes.reduce((sum, size) => sum + size, 0),
  }
}
