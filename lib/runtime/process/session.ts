/** One worker as a workload session: its queue of calls, and every way in which it may end. */
import { calledAs } from '../called-as.js'
import type { Socket } from 'node:net'
import {
  AbortError,
  ProtocolError,
  RuntimeBusyError,
  RuntimeClosedError,
  ValueError,
  WorkerExitedError,
  type TorchbedError,
} from '../../errors.js'
import { checkTimeout, deadlineError, DEADLINE_GRACE_MS } from '../deadline.js'
import { errorFromFailure, parametersError } from '../failures.js'
import { endProgress, readProgress, tell, type ProgressListener } from '../progress.js'
import type { CallOptions, WorkloadSession } from '../python-runtime.js'
import { DISCONNECTED_GRACE_MS, INTERRUPT_INTERVAL_MS, LAST_BYTES_GRACE_MS } from './constants.js'
import { settlesWithin } from './waiting.js'
import { statusText, type WorkerProcess } from './worker-process.js'
import type { PyInput, PyValue } from '../values.js'
import { readResponse, requestFrame, type ProgressResponse, type Response } from './protocol.js'
import { FrameReader, FrameTooLarge } from './protocol-frames.js'
import { writePythonJson } from './protocol-write.js'

/** How a session deals with its worker. All times are in milliseconds. */
export interface SessionOptions {
  /** Whether SIGINT cancels the running call, which only our own worker knows. */
  readonly canInterrupt: boolean
  readonly maxFrameBytes: number
  readonly closeGraceMs: number
  readonly abortGraceMs: number
}

/** A call that waits for its turn, or for its answer. */
interface Job {
  readonly method: string
  /** What errors call it: the method, except while the workload is opened. */
  readonly title: string
  /** JSON text. */
  readonly params: string
  /** Whether somebody waits for it, so that Node must not end before. */
  readonly isAwaited: boolean
  readonly isUrgent: boolean
  readonly onProgress?: ProgressListener | undefined
  readonly resolve: (result: PyValue) => void
  readonly reject: (error: unknown) => void
}

/** What a session is doing. */
export interface SessionActivity {
  readonly queued: number
  readonly running: { readonly method: string; readonly ageMs: number } | undefined
  readonly isOverdue: boolean
}

export class SubprocessSession implements WorkloadSession {
  /** Known once the session has said hello. */
  workloadName = ''
  /** Settles when the worker has ended, and what it printed last has been given out. */
  readonly ended: Promise<void>
  readonly #worker: WorkerProcess
  readonly #socket: Socket
  readonly #options: SessionOptions
  readonly #reader: FrameReader
  readonly #queue: Job[] = []
  /** Urgent calls that were sent while another runs, by their ids. The worker answers each when it can. */
  readonly #ahead = new Map<number, Job>()
  #running: Job | undefined
  #runningSince = 0
  #runningId = 0
  /** The running call, when its caller was told that its deadline passed and waits no more. */
  #overdue: Job | undefined
  #lastId = 0
  /** Why no further call is taken; undefined while calls are. */
  #closedBecause: TorchbedError | undefined
  #closing: Promise<void> | undefined
  #isClosing = false

  constructor(worker: WorkerProcess, socket: Socket, options: SessionOptions) {
    this.#worker = worker
    this.#socket = socket
    this.#options = options
    this.#reader = new FrameReader(options.maxFrameBytes)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('error', () => socket.destroy()) // 'close' follows
    this.ended = this.#watch()
    socket.resume()
    this.#keepAliveIfAwaited()
  }

  get closed(): boolean {
    return this.#closedBecause !== undefined
  }

  async call(method: string, params: PyInput = null, options: CallOptions = {}): Promise<PyValue> {
    return this.callAs(calledAs(method, params), method, params, options)
  }

  /** A call that errors name otherwise than by its method. */
  async callAs(
    title: string,
    method: string,
    params: PyInput,
    { signal, timeoutMs, onProgress, urgent: isUrgent = false }: CallOptions = {},
  ): Promise<PyValue> {
    let abort: (() => void) | undefined
    let timer: NodeJS.Timeout | undefined
    let isLate = false as boolean
    try {
      if (this.#closedBecause !== undefined) throw cannotCall(title, this.#closedBecause)
      if (signal?.aborted) throw abortError(title, signal)
      if (this.#overdue !== undefined) throw this.#busyError(title, this.#overdue)
      if (timeoutMs !== undefined) checkTimeout(title, timeoutMs)
      const text = this.#paramsText(title, params)
      return await new Promise<PyValue>((resolve, reject) => {
        const call = { method, title, params: text, isAwaited: true, isUrgent }
        const job = { ...call, onProgress, resolve, reject }
        if (signal !== undefined) {
          abort = () => this.#abort(job, abortError(title, signal))
          signal.addEventListener('abort', abort, { once: true })
        }
        if (timeoutMs !== undefined) {
          timer = setTimeout(() => {
            isLate = true
            this.#abort(job, deadlineError(title, timeoutMs, { overdue: false }))
            timer = setTimeout(() => this.#giveUp(job, timeoutMs), DEADLINE_GRACE_MS)
          }, timeoutMs)
        }
        this.#enqueue(job)
      })
    } catch (error) {
      // The worker knows that it was cancelled, and not why.
      if (error instanceof AbortError) {
        const { stateChanged } = error
        if (signal?.aborted) throw abortError(title, signal, stateChanged)
        if (isLate) throw deadlineError(title, timeoutMs, { overdue: false, stateChanged })
      }
      throw error
    } finally {
      if (abort !== undefined) signal?.removeEventListener('abort', abort)
      clearTimeout(timer)
      endProgress(onProgress)
    }
  }

  /** What it is doing. */
  get activity(): SessionActivity {
    const running = this.#running && {
      method: this.#running.title,
      ageMs: performance.now() - this.#runningSince,
    }
    const queued = this.#queue.length + this.#ahead.size
    return { queued, running, isOverdue: this.#overdue !== undefined }
  }

  releaseModel(modelId: string): void {
    if (this.closed) return
    this.#enqueueUnawaited('release_model', writePythonJson({ model_id: modelId }))
  }

  /** Lets the calls that were made end and the worker leave, and kills it when that takes too long. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** Kills the worker. The running call fails with `error`, those that wait as the later ones do. */
  abandon(error: TorchbedError, closedBecause: TorchbedError = error): void {
    this.#closedBecause ??= closedBecause
    this.#worker.kill()
    this.#socket.destroy()
    this.#rejectAll(error)
  }

  async #close(): Promise<void> {
    this.#isClosing = true
    this.#worker.ref()
    if (this.#closedBecause === undefined) {
      this.#closedBecause = new RuntimeClosedError('the workload is closed')
      this.#enqueueUnawaited('shutdown', 'null')
      if (!(await settlesWithin(this.#worker.exited, this.#options.closeGraceMs))) {
        const when = `${this.#options.closeGraceMs} ms after the workload was closed`
        this.abandon(killed(`it still ran ${when}`))
      }
    }
    await this.ended
  }

  #paramsText(title: string, params: PyInput): string {
    let text: string
    try {
      text = writePythonJson(params)
    } catch (cause) {
      throw parametersError(cause, title)
    }
    const { maxFrameBytes } = this.#options
    // The rest of the frame is short.
    if (Buffer.byteLength(text) > maxFrameBytes - 256) {
      throw new ValueError(
        `Cannot call ${title}: its parameters exceed the limit of ${maxFrameBytes} bytes; pass what ` +
          'is large as a file, or raise maxFrameBytes',
        '',
      )
    }
    return text
  }

  // --- the queue -------------------------------------------------------------------------------

  #enqueue(job: Job): void {
    const isBusy = this.#running !== undefined || this.#ahead.size > 0
    if (job.isUrgent && isBusy && this.#options.canInterrupt && !this.#socket.destroyed) {
      this.#ahead.set(this.#send(job, true), job)
    } else if (job.isUrgent) {
      const place = this.#queue.findIndex((waiting) => !waiting.isUrgent)
      this.#queue.splice(place === -1 ? this.#queue.length : place, 0, job)
    } else {
      this.#queue.push(job)
    }
    this.#next()
  }

  /** Returns the id of the request. */
  #send({ method, params, onProgress }: Job, urgent: boolean): number {
    const id = ++this.#lastId
    // Others than ours would not know what is meant.
    const progress = onProgress !== undefined && this.#options.canInterrupt
    this.#socket.write(requestFrame(id, method, params, { progress, urgent }))
    return id
  }

  #enqueueUnawaited(method: string, params: string): void {
    const ignore = () => undefined
    const call = { method, title: method, params, isAwaited: false, isUrgent: false }
    this.#enqueue({ ...call, resolve: ignore, reject: ignore })
  }

  #next(): void {
    if (this.#running === undefined && !this.#socket.destroyed) {
      this.#running = this.#queue.shift()
      if (this.#running !== undefined) {
        this.#runningSince = performance.now()
        this.#runningId = this.#send(this.#running, false)
      }
    }
    this.#keepAliveIfAwaited()
  }

  /** Lets the caller of the running call go, while the worker is interrupted further, and killed at last. */
  #giveUp(job: Job, timeoutMs: number): void {
    if (job !== this.#running) return
    this.#overdue = job
    job.reject(deadlineError(job.title, timeoutMs, { overdue: true }))
  }

  #busyError(title: string, overdue: Job): RuntimeBusyError {
    const seconds = ((performance.now() - this.#runningSince) / 1000).toFixed(1)
    return new RuntimeBusyError(
      `Cannot call ${title}: the worker is still inside ${overdue.title}, ${seconds} s after it began and ` +
        'past its deadline. Wait for it to end; it is killed when it takes longer than abortGraceMs',
    )
  }

  #abort(job: Job, error: TorchbedError): void {
    const place = this.#queue.indexOf(job)
    if (place !== -1) {
      this.#queue.splice(place, 1)
      job.reject(error)
      this.#keepAliveIfAwaited()
    } else if ([...this.#ahead.values()].includes(job)) {
      this.#leave(job, error)
    } else if (job !== this.#running) {
      return // its answer is there
    } else if (this.#options.canInterrupt) {
      this.#interrupt(job, error)
    } else {
      this.abandon(error, killed(`${job.title} was aborted and nothing else ends a call`))
    }
  }

  /** Lets the caller of an urgent call go. It cannot be interrupted: that is for the call around it. */
  #leave(job: Job, error: TorchbedError): void {
    const { abortGraceMs } = this.#options
    job.reject(error)
    setTimeout(() => {
      // It waits for its turn as long as another runs, which has a deadline of its own.
      const isThere = [...this.#ahead.values()].includes(job)
      if (!isThere || this.#running !== undefined) return
      this.abandon(error, killed(`${job.title} still ran ${abortGraceMs} ms after it was aborted`))
    }, abortGraceMs).unref()
  }

  #interrupt(job: Job, error: TorchbedError): void {
    const { abortGraceMs } = this.#options
    const began = performance.now()
    this.#worker.interrupt()
    const timer = setInterval(() => {
      if (job === this.#running && performance.now() - began < abortGraceMs) {
        this.#worker.interrupt()
        return
      }
      clearInterval(timer)
      if (job !== this.#running) return
      this.abandon(error, killed(`${job.title} still ran ${abortGraceMs} ms after it was aborted`))
    }, INTERRUPT_INTERVAL_MS)
  }

  /** An idle worker lets Node end, and a model that is being released does not keep it either. */
  #keepAliveIfAwaited(): void {
    const isAwaited =
      this.#running?.isAwaited === true ||
      this.#ahead.size > 0 ||
      this.#queue.some((job) => job.isAwaited)
    if (isAwaited) {
      this.#socket.ref()
      this.#worker.ref()
    } else {
      this.#socket.unref()
      if (!this.#isClosing) this.#worker.unref()
    }
  }

  // --- answers ---------------------------------------------------------------------------------

  #onData(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.push(chunk)) this.#onFrame(frame)
    } catch (error) {
      if (error instanceof FrameTooLarge) {
        const method = this.#running?.title ?? 'no call'
        const message = `read python rpc response ${method}: ${error.message}; raise maxFrameBytes`
        this.abandon(new ProtocolError(message, { cause: error }))
      } else if (error instanceof ProtocolError) {
        this.abandon(error)
      } else {
        throw error
      }
    }
  }

  #onFrame(frame: Buffer): void {
    const ahead = this.#ahead.values().next().value
    const first = this.#running ?? ahead
    if (first === undefined) throw new ProtocolError('the worker sent a response to no call')
    const response = readResponse(frame, this.#runningId, first.title, this.#ahead)
    const job = this.#ahead.get(response.id) ?? this.#running
    if (job === undefined) throw new ProtocolError('the worker sent a response to no call')
    if ('progress' in response) {
      if (job.onProgress !== undefined) tell(job.onProgress, readProgress(response.progress))
      return
    }
    if (!this.#ahead.delete(response.id)) {
      this.#running = undefined
      this.#overdue = undefined
    }
    // What the call printed is in the pipes already. They are read in this turn of the event loop.
    setImmediate(() => {
      this.#worker.flushOutput()
      settle(job, response)
    })
    this.#next()
  }

  // --- the end ---------------------------------------------------------------------------------

  /** Waits for the end of the worker, whatever brings it about. */
  async #watch(): Promise<void> {
    const disconnected = new Promise<void>((resolve) => {
      if (this.#socket.closed) resolve()
      else this.#socket.once('close', resolve)
    })
    void disconnected.then(async () => {
      if (!(await settlesWithin(this.#worker.exited, DISCONNECTED_GRACE_MS))) this.#worker.kill()
    })
    const status = await this.#worker.exited
    // An answer may still be on its way; a process that it forked may hold the connection open.
    await settlesWithin(disconnected, LAST_BYTES_GRACE_MS)
    await this.#worker.finished
    const method = this.#running?.title ?? 'no call'
    const died = new WorkerExitedError(
      `read python rpc response ${method} (worker status: ${statusText(status)})${this.#worker.lastWords}`,
      status,
    )
    this.#closedBecause ??= died
    this.#socket.destroy()
    this.#rejectAll(died)
  }

  #rejectAll(error: TorchbedError): void {
    const running = this.#running
    this.#running = undefined
    this.#overdue = undefined
    running?.reject(error)
    const waiting = [...this.#ahead.values(), ...this.#queue.splice(0)]
    this.#ahead.clear()
    for (const job of waiting) {
      job.reject(cannotCall(job.title, this.#closedBecause ?? error))
    }
    this.#keepAliveIfAwaited()
  }
}

function cannotCall(title: string, cause: TorchbedError): RuntimeClosedError {
  const [message] = cause.message.split('\n')
  const isSaid = cause instanceof RuntimeClosedError
  const why = isSaid ? message : `the worker has ended, open the workload again: ${message}`
  return new RuntimeClosedError(`Cannot call ${title}: ${why}`, { cause })
}

function killed(why: string): RuntimeClosedError {
  return new RuntimeClosedError(
    `the worker was killed, because ${why}; its models are lost, open the workload again`,
  )
}

function settle(job: Job, response: Exclude<Response, ProgressResponse>): void {
  if (response.ok) job.resolve(response.result)
  else job.reject(errorFromFailure(response.failure, job.title))
}

/** What an aborted call rejects with. */
export function abortError(title: string, signal: AbortSignal, stateChanged?: boolean): AbortError {
  return new AbortError(`${title} was aborted`, { cause: signal.reason, stateChanged })
}
