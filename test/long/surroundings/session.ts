/** The workload of test/workloads/surrounded.py, opened by any copy of the library, and what came of a call. */
import type { EmbeddedRuntime, PyInput, PyValue } from '../../../lib/index.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { join } from 'node:path'

/** What a child reports of one call: the metrics, or the code of the error. */
export type Outcome = Readonly<Record<string, unknown>>

/** Calls one function of the workload; an error is an outcome, too. */
export type Act = (act: string, payload?: Readonly<Record<string, PyInput>>) => Promise<Outcome>

export async function open(runtime: EmbeddedRuntime): Promise<Act> {
  const roots = [process.env.TORCHBED_WORKLOADS ?? join(packageRoot(), 'test', 'workloads')]
  const spec = { factory: 'surrounded:create_workload', moduleSearchRoots: roots }
  const session = await runtime.openWorkload(spec)
  await session.call('init_model', { device: 'cpu' })
  return (act, payload = {}) => {
    const batches = [{ payload: { act, ...payload } }]
    return outcome(session.call('train_window', { model_id: 'm1', batches }))
  }
}

export async function outcome(promise: Promise<PyValue>): Promise<Outcome> {
  try {
    const { metrics } = (await promise) as { metrics: Record<string, unknown> }
    return metrics
  } catch (error) {
    return failure(error)
  }
}

/** Without a code it is none of torchbed's. */
export function failure(error: unknown): Outcome {
  const { code, message, pythonType } = error as Record<string, string | undefined>
  return { code, message, ...(pythonType === undefined ? {} : { pythonType }) }
}
