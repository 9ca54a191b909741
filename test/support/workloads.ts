/** The Python workloads in test/workloads, and windows that make them do something. */
import { join } from 'node:path'
import { packageRoot } from '../../lib/runtime/package-root.js'
import type { PyInput } from '../../lib/index.js'

export const workloadRoot = join(packageRoot(), 'test', 'workloads')

/** Parameters of a `train_window` in which the plain workload runs a Python statement. */
export function doing(statement: string): PyInput {
  return { model_id: 'm1', batches: [{ payload: { do: statement } }] }
}

/** Parameters of a `train_window` in which the plain workload returns a Python expression. */
export function returning(expression: string): PyInput {
  return { model_id: 'm1', batches: [{ payload: { return: expression } }] }
}

/** Whether torch tests can run; without it they are shown as pending. */
export const withTorch = process.env.TORCHBED_WITHOUT_TORCH !== '1'
