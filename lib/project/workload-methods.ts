/** The methods of the workload protocol (spec worker-protocol#methods) that answer something, and what they answer. */

import { ProtocolError } from '../errors.js'
import { calledAs } from '../runtime/called-as.js'
import type { CallOptions, WorkloadSession } from '../runtime/python-runtime.js'
import type { PyInput } from '../runtime/values.js'
import {
  CapabilityEstimate,
  Metrics,
  names,
  optional,
  PatchOutcome,
  record,
  text,
  u64,
  type Codec,
} from '../schema/index.js'

const Measured = record('metrics', { metrics: Metrics })
const way = optional(names('artifact way', 'tensors', 'path', 'bytes'))

const ANSWERS = {
  hello: record('hello', { workload_name: text }),
  capability_probe: record('capability_probe', {
    runtime_device: text,
    capability: CapabilityEstimate,
  }),
  init_model: record('model', { model_id: text }),
  train_window: Measured,
  evaluate: Measured,
  apply_patch: PatchOutcome,
  merge_candidate_models: record('merged model', { model_id: optional(text) }),
  artifact_ways: record('artifact ways', { load: way, materialize: way }),
  plan_model_memory: record('artifact plan', { total_bytes: u64 }),
}

type Method = keyof typeof ANSWERS

/** What a method answers. */
export type AnswerOf<M extends Method> = ReturnType<(typeof ANSWERS)[M]['fromValue']>

/**
 * Calls a method and reads its answer, which a third-party worker may get wrong.
 *
 * @throws ProtocolError for an answer that is not the method's
 */
export async function ask<M extends Method>(
  session: WorkloadSession,
  method: M,
  params: PyInput,
  options?: CallOptions,
): Promise<AnswerOf<M>> {
  const answer = await session.call(method, params, options)
  const codec = ANSWERS[method] as Codec<AnswerOf<M>>
  try {
    return codec.fromValue(answer)
  } catch (cause) {
    throw new ProtocolError(
      `decode result for python rpc ${calledAs(method, params)}: ${String(cause)}`,
      { cause },
    )
  }
}
