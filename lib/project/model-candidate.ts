/** Peers' models that may be merged (spec worker-protocol#methods, `merge_candidate_models`). */

import { ValueError } from '../errors.js'
import type { WorkloadSession } from '../runtime/python-runtime.js'
import { PyFloat, type PyInput } from '../runtime/values.js'
import type { ArtifactId, HeadId, PeerId } from '../schema/index.js'
import type { ModelHandle } from './model-handle.js'

/** A peer's model that may be merged. */
export interface ModelCandidate {
  readonly peer_id: PeerId
  readonly head_id: HeadId
  readonly artifact_id: ArtifactId
  readonly model: ModelHandle
  readonly sample_weight: number
  readonly quality_weight: number
}

/**
 * A candidate as Python gets it.
 *
 * @throws ValueError for a weight that is negative or not finite
 */
export function candidateInput(candidate: ModelCandidate, session: WorkloadSession): PyInput {
  for (const field of ['sample_weight', 'quality_weight'] as const) {
    const weight = candidate[field]
    if (Number.isFinite(weight) && weight >= 0) continue
    throw new ValueError(
      `Cannot merge the model of ${candidate.peer_id}: its ${field} is ${weight}, not a finite number from 0 on`,
      field,
    )
  }
  const { model, sample_weight, quality_weight, ...rest } = candidate
  return {
    ...rest,
    model_id: model.idFor(session, 'merge_candidate_models'),
    sample_weight: new PyFloat(sample_weight),
    quality_weight: new PyFloat(quality_weight),
  }
}
