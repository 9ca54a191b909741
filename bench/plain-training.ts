/** One long-lived plain Python that trains windows when it is told to: bench/plain/plain_training.py. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { packageRoot } from '../lib/runtime/package-root.js'
import type { ExampleWorkload } from './examples.js'

export interface PlainTraining extends AsyncDisposable {
  /** Trains one window; how long it took in Python, in milliseconds. Idle between windows. */
  trainWindow(): Promise<number>
}

export async function startPlainTraining(
  python: string,
  { workload, batches }: ExampleWorkload,
): Promise<PlainTraining> {
  const script = join(packageRoot(), 'bench', 'plain', 'plain_training.py')
  const { factory, config = null, moduleSearchRoots: [folder = '.'] = [] } = workload
  const child = spawn(
    python,
    [script, factory, folder, JSON.stringify(config), JSON.stringify(batches)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const ended = once(child, 'close')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async () => {
    const line = await lines.next()
    if (line.done === true) throw new Error('plain Python ended; the reason is above')
    return line.value
  }
  await nextLine()
  return {
    async trainWindow() {
      child.stdin.write('\n')
      return Number(await nextLine()) * 1000
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      await ended
      process.off('exit', kill)
    },
  }
}
