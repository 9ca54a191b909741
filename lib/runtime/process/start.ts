/** From a workload to a worker that has connected, or to the reason why there is none. */
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { WorkerStartError } from '../../errors.js'
import type { OutputEvents } from '../output.js'
import type { WorkloadSpec } from '../python-runtime.js'
import { WorkerListener } from './connection.js'
import { workerLaunch, type WorkerProgram } from './launch.js'
import { statusText, WorkerProcess } from './worker-process.js'

export interface WorkerOptions extends WorkerProgram {
  /** How long the worker may take to connect, in milliseconds; Infinity waits indefinitely. */
  readonly startTimeoutMs: number
}

export interface ConnectedWorker {
  readonly worker: WorkerProcess
  /** Paused. */
  readonly socket: Socket
}

/**
 * Starts a worker and waits for its connection. `stop` ends the wait with its reason. Whatever the
 * reason for failing, no process and no port is left behind.
 *
 * Throws {@link WorkerStartError}, and as {@link workerLaunch} and {@link WorkerProcess.start} do.
 */
export async function startWorker(
  options: WorkerOptions,
  spec: WorkloadSpec,
  emitter: EventEmitter<OutputEvents>,
  stop: AbortSignal,
): Promise<ConnectedWorker> {
  const listener = await WorkerListener.open()
  let worker: WorkerProcess | undefined
  try {
    const launch = workerLaunch(options, spec, listener.port)
    worker = await WorkerProcess.start(launch, emitter)
    const connection = listener.expect({ token: launch.token, pid: worker.pid })
    const socket = await beforeItFails(connection, worker, options.startTimeoutMs, stop)
    return { worker, socket }
  } catch (error) {
    worker?.kill()
    await worker?.finished
    throw error
  } finally {
    listener.close()
  }
}

/** The connection; rejects when the worker ends before, when time is up, or when `stop` is aborted. */
async function beforeItFails(
  connection: Promise<Socket>,
  worker: WorkerProcess,
  timeoutMs: number,
  stop: AbortSignal,
): Promise<Socket> {
  let abort: (() => void) | undefined
  let timer: NodeJS.Timeout | undefined
  const failure = new Promise<never>((_resolve, reject: (error: unknown) => void) => {
    abort = () => reject(stop.reason as Error)
    stop.addEventListener('abort', abort, { once: true })
    if (stop.aborted) abort()
    if (timeoutMs !== Infinity) {
      timer = setTimeout(() => reject(timedOut(timeoutMs, worker)), timeoutMs)
    }
    void worker.exited.then(async (status) => {
      await worker.finished
      const what = `python worker exited before establishing rpc connection: ${statusText(status)}`
      reject(new WorkerStartError(`${what}${worker.lastWords}`))
    })
  })
  failure.catch(() => undefined) // nothing listens once the connection is there
  try {
    return await Promise.race([connection, failure])
  } finally {
    clearTimeout(timer)
    if (abort !== undefined) stop.removeEventListener('abort', abort)
  }
}

function timedOut(timeoutMs: number, worker: WorkerProcess): WorkerStartError {
  return new WorkerStartError(
    `timed out waiting for python worker rpc connection after ${timeoutMs} ms; raise startTimeoutMs ` +
      `where the workload is slow to import${worker.lastWords}`,
  )
}
