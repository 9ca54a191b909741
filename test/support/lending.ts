/** The workload of test/workloads/lending.py, which does with lent memory what an expression says. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  EmbeddedRuntime,
  type LentBuffer,
  type PyInput,
  type PyValue,
  type WorkloadSession,
} from '../../lib/index.js'
import { withTorch, workloadRoot } from './workloads.js'

/**
 * Opens the workload for the tests of a `describe`. With `settled`, what is imported by then is frozen for Python's
 * garbage collector, so that the collection of a call that kept something takes no tenths of a second.
 */
export function useLending({ settled = false } = {}): {
  /** What the expression gives; it knows `value`. */
  readonly lend: (expression: string, value?: PyInput, signal?: AbortSignal) => Promise<PyValue>
} {
  let runtime: EmbeddedRuntime
  let session: WorkloadSession
  const lend = (expression: string, value: PyInput = null, signal?: AbortSignal) =>
    session.call('lend', { expression, value }, { signal })
  before(async () => {
    runtime = await EmbeddedRuntime.start()
    session = await runtime.openWorkload({
      factory: 'lending:create_workload',
      moduleSearchRoots: [workloadRoot],
    })
    if (settled) await lend(`settle(${withTorch ? 'True' : 'False'})`)
  })
  after(async () => {
    if (settled) await lend('gc.unfreeze() or 1')
    await runtime.close()
  })
  return { lend }
}

/** Waits until the memory is back: Python tells Node of it on a later turn of the event loop. */
export async function back(lent: LentBuffer): Promise<void> {
  for (let i = 0; i < 400 && lent.onLoan; i++) await sleep(5)
  assert.equal(lent.onLoan, false)
}
