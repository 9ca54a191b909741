/** Projects over the scripted workload, and a look at what Python holds. */
import type { CachedMicroShard, PythonBatchRef } from '../../lib/schema/index.js'
import type {
  PyInput,
  PythonRuntime,
  TorchProjectOptions,
  TorchWorkloadConfig,
} from '../../lib/index.js'
import { jsonFrom } from '../../lib/schema/index.js'
import { TorchProject } from '../../lib/index.js'
import { workloadRoot } from '../support/workloads.js'

/** Expressions in place of hooks, by the hook's name; test/workloads/scripted.py says what they know. */
export type Hooks = Readonly<Record<string, string>>

/** A config of the scripted workload. */
export function scripted(
  hooks: Hooks = {},
  rest: Omit<TorchWorkloadConfig, 'runtime'> = {},
  workloadConfig: Readonly<Record<string, PyInput>> = {},
): TorchWorkloadConfig {
  return {
    runtime: {
      workload_factory: 'scripted:create_workload',
      module_search_roots: [workloadRoot],
      workload_config: { hooks, ...workloadConfig },
    },
    ...rest,
  }
}

/** A project of the scripted workload. */
export async function openScripted(
  hooks?: Hooks,
  rest?: Omit<TorchWorkloadConfig, 'runtime'>,
  options?: TorchProjectOptions,
): Promise<TorchProject> {
  return TorchProject.open(scripted(hooks, rest), options)
}

/** A batch of one shard that no one reads. */
export const batch: PythonBatchRef = {
  kind: 'cached_microshard_group',
  shard_paths: ['a.safetensors'],
  microshard_ids: ['s1'],
  ordinals: [0],
  bytes_len: 10,
}

/** A batch that makes the plain workload return what a Python expression gives. */
export function returns(expression: string): PythonBatchRef {
  return {
    kind: 'micro_epoch',
    lease_id: 'lease',
    microshard_ids: [],
    ordinals: [],
    bytes_len: 0,
    pipeline_kind: 'custom',
    payload: jsonFrom({ return: expression }),
  }
}

/** A cached microshard with these estimates. */
export function cachedShard(examples: number, tokens: number): CachedMicroShard {
  return {
    microshard: {
      microshard_id: `shard of ${examples}`,
      dataset_view_id: 'view',
      ordinal: 0,
      estimated_examples: examples,
      estimated_tokens: tokens,
      estimated_bytes: 1,
    },
    path: '/nowhere',
    content_hash: 'hash',
    bytes_len: 1,
  }
}

/** What the hooks of a scripted project were shown with `see`, as Python prints it. */
export async function seen(project: TorchProject): Promise<unknown> {
  await using model = await project.initModel()
  const batches = [returns('{"seen": "\\n".join(workload.seen)}')]
  return (await project.trainWindow({ model, batches })).stats.seen
}

/** How many models Python holds, over all open workloads. */
export async function modelsInPython(runtime: PythonRuntime): Promise<bigint> {
  await using session = await runtime.openWorkload({
    factory: 'plain:create_workload',
    moduleSearchRoots: [workloadRoot],
  })
  await session.call('init_model', { device: 'cpu' })
  const expression =
    '{"n": sum(len(s._models) for s in sys.modules["torchbed._host.host"]._host._sessions.values())}'
  const batches = [{ payload: { return: expression } }]
  const answer = await session.call('train_window', { model_id: 'm1', batches })
  return (answer as { metrics: { n: bigint } }).metrics.n - 1n
}
