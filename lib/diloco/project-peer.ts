/** A model of a project as a peer of DiLoCo's rounds. */
import type { ModelHandle } from '../project/model-handle.js'
import type { TorchProject } from '../project/torch-project.js'
import type { TrainBatch } from '../project/train-batch.js'
import { tensor, type Tensor } from '../runtime/tensor.js'
import { NumericsMemoryError } from './errors.js'
import type { RoundPeer } from './local.js'

/** What a peer trains. */
export interface ProjectPeerParts {
  readonly peerId: string
  readonly project: TorchProject
  /** The peer's own model; its optimizer goes on from round to round. */
  readonly model: ModelHandle
  /** What the inner steps of a round are taken on: one training window. */
  readonly batches: (round: number) => readonly TrainBatch[]
}

/**
 * The parameters that a model begins with, for `localRounds`.
 *
 * @throws HookMissingError when the workload does not offer `parameter_pack`, as `torchbed.workload.Module` does
 * @throws NumericsMemoryError when the hook does not return a float32 tensor of one dimension
 */
export async function parametersOf(
  project: TorchProject,
  model: ModelHandle,
): Promise<Float32Array> {
  const pack = await project.call<undefined, Tensor>(model, 'parameter_pack')
  if (pack.data instanceof Float32Array && pack.shape.length === 1) return pack.data
  const is = `${pack.dtype} [${pack.shape.join(', ')}]`
  throw new NumericsMemoryError(
    `parameter_pack returned a tensor ${is}; return a vector of float32, as torchbed.workload.pack_values does`,
  )
}

/**
 * A peer whose workload has the hooks `parameter_pack(state)` and `load_parameter_pack(state, values)`, which
 * `torchbed.workload.Module` has; others write them with `torchbed.workload.pack_values` and `unpack_values`.
 *
 * Its tokens are the weight of its window (`contributionWeight`), rounded. Training rejects with what the project's
 * calls throw.
 */
export function projectPeer({ peerId, project, model, batches }: ProjectPeerParts): RoundPeer {
  return {
    peerId,
    async train(base, round) {
      await project.call(model, 'load_parameter_pack', tensor(base))
      const report = await project.trainWindow({ model, batches: [...batches(round)] })
      const tokens = Math.round(project.contributionWeight(report))
      return { local: await parametersOf(project, model), tokens }
    },
  }
}
