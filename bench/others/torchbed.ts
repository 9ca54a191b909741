/** torchbed itself, with the defaults of EmbeddedRuntime. */

import { EmbeddedRuntime, LentBuffer, type PyInput, type WorkloadSession } from '../../lib/index.js'
import type { PythonBatchRef } from '../../lib/schema/index.js'
import type { Bridge, DigitsConfig, Places } from './bridge.js'

const MODEL = { model_id: 'm1' }

export async function open({ python, modules }: Places): Promise<Bridge> {
  const runtime = await EmbeddedRuntime.start({ python })
  const openModel = async (factory: string, config: PyInput): Promise<WorkloadSession> => {
    const spec = { factory, config, moduleSearchRoots: modules }
    const session = await runtime.openWorkload(spec)
    await session.call('init_model', { device: 'python-torch-cpu' })
    return session
  }
  const quiet = await openModel('quiet_workload:create_workload', null)
  let weights: WorkloadSession | undefined
  let digits: WorkloadSession | undefined
  return {
    evaluate: () => quiet.call('evaluate', { ...MODEL, split: 'Test' }),
    trainWindow: (batches) => quiet.call('train_window', { ...MODEL, batches: plain(batches) }),
    async openWeights(megabytes) {
      await weights?.close()
      weights = await openModel('bench_workload:create_workload', { megabytes, hooks: 'tensors' })
    },
    async load(bytes) {
      // Lent as it is: a transfer moves the memory without a copy, and take() moves it back.
      const artifact = LentBuffer.transfer(bytes.buffer)
      await opened(weights).call('load_model_memory', { ...MODEL, artifact })
      return new Uint8Array(artifact.take())
    },
    async materialize() {
      const planned = await opened(weights).call('plan_model_memory', MODEL)
      const artifact = LentBuffer.allocate(Number((planned as { total_bytes: bigint }).total_bytes))
      await opened(weights).call('fill_model_memory', { ...MODEL, artifact })
      return new Uint8Array(artifact.take())
    },
    async openDigits(config: DigitsConfig) {
      digits = await openModel('digits_workload:create_workload', { ...config })
    },
    async trainDigits(batches) {
      const params = { ...MODEL, batches: plain(batches) }
      const answer = await opened(digits).call('train_window', params)
      return Number(
        (answer as { metrics: { examples_processed: bigint } }).metrics.examples_processed,
      )
    },
    close: () => runtime.close(),
  }
}

/** Batches as parameters of a call: they are plain data already. */
const plain = (batches: readonly PythonBatchRef[]) => batches as unknown as PyInput

function opened(session: WorkloadSession | undefined): WorkloadSession {
  if (session === undefined) throw new Error('The model of this measurement is not open')
  return session
}
