/** A worker thread of environments.ts: makes short calls at once, or one long one. */
import { parentPort, workerData } from 'node:worker_threads'
import { EmbeddedRuntime } from '../../../lib/index.js'
import { open } from './session.js'

/**
 * `calls` short calls, whose answers are sent; or a call of `seconds`, and a message when it has begun; or a message,
 * and then nothing but the native code until the worker is terminated.
 */
export type WorkerTask =
  { readonly calls: number } | { readonly seconds: number } | { readonly inAddon: true }

const task = workerData as WorkerTask
const runtime = await EmbeddedRuntime.start()
const act = await open(runtime)
if ('calls' in task) {
  const calls = Array.from({ length: task.calls }, (_, call) => act('identify', { call }))
  parentPort?.postMessage(await Promise.all(calls))
  await runtime.close()
} else if ('inAddon' in task) {
  parentPort?.postMessage('in the addon')
  for (;;) runtime.stats()
} else {
  runtime.on('stdout', (line) => parentPort?.postMessage(line))
  await act('work', { seconds: task.seconds })
}
