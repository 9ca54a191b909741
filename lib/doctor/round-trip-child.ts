/**
 * The child process of a round trip: runs Python in itself, step by step, and tells its parent of each. What it
 * does may crash or hang, which is why it is a process of its own.
 *
 * Its argument is the path of the Python.
 */
import { TorchbedError } from '../errors.js'
import { EmbeddedRuntime } from '../runtime/embedded/embedded-runtime.js'
import { findPython } from '../runtime/python/find-python.js'
import type { WorkloadSession } from '../runtime/python-runtime.js'
import type { PyValue } from '../runtime/values.js'
import { failedCheck } from './check.js'
import { CALLS, type Facts, type Step, type StepReport } from './round-trip.js'

/** Calls that are made before any is measured: the first ones compile and fill caches. */
const WARM_UP_CALLS = 200

// Without its parent, nothing waits for the answer.
process.on('disconnect', () => process.exit(1))

let session: WorkloadSession | undefined

const steps: Readonly<Record<Step, () => Promise<Facts>>> = {
  start: async () => {
    // Asked beforehand, and the answer is kept: the time is that of the start alone.
    const { executable } = await findPython({ python: process.argv[2], fresh: true })
    const began = performance.now()
    const runtime = await EmbeddedRuntime.start({ python: executable })
    const startMs = performance.now() - began
    session = await runtime.openWorkload({ factory: 'torchbed._host.diagnosis:Diagnosis' })
    return { version: runtime.python.version, startMs }
  },
  calls: async () => ({ medianUs: await medianCallUs() }),
  openssl: () => ask('openssl'),
  torch: () => ask('torch'),
}

for (const step of Object.keys(steps) as Step[]) {
  await tell({ step, facts: null })
  let report: StepReport
  try {
    report = { step, facts: await steps[step]() }
  } catch (error) {
    if (!(error instanceof TorchbedError)) throw error
    report = { step, failure: failedCheck(step, error) }
  }
  await tell(report)
  if ('failure' in report && step === 'start') break
}
process.removeAllListeners('disconnect')
process.disconnect()

async function medianCallUs(): Promise<number> {
  for (let call = 0; call < WARM_UP_CALLS; call++) await session?.call('hello')
  const times: number[] = []
  for (let call = 0; call < CALLS; call++) {
    const began = performance.now()
    await session?.call('hello')
    times.push((performance.now() - began) * 1000)
  }
  return times.sort((a, b) => a - b)[CALLS / 2] ?? NaN
}

async function ask(question: string): Promise<Facts> {
  const model = await session?.call('init_model', { device: 'cpu' })
  const params = { model_id: field(model, 'model_id') as string, split: question }
  const answer = field(await session?.call('evaluate', params), 'metrics')
  const facts = Object.entries(answer as Record<string, PyValue>)
  return Object.fromEntries(
    facts.map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
  ) as Facts
}

function field(answer: PyValue | undefined, name: string): PyValue | undefined {
  return (answer as Record<string, PyValue> | undefined)?.[name]
}

/** Waits until the parent can read it, so that a crash right after loses nothing. */
function tell(report: StepReport): Promise<void> {
  return new Promise((resolve, reject) => {
    process.send?.(report, (error: Error | null) => {
      if (error === null) resolve()
      else reject(error)
    })
  })
}
