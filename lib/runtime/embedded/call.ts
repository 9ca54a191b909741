/** One call across the bridge: its parameters, its cancelling, its deadline, its progress, its errors. */
import {
  AbortError,
  type DeadlineError,
  ProtocolError,
  RuntimeBusyError,
  TorchbedError,
} from '../../errors.js'
import { calledAs } from '../called-as.js'
import type { Bridge } from './addon.js'
import { checkTimeout, deadlineError, DEADLINE_GRACE_MS } from '../deadline.js'
import { encodeValue } from './encoded-value.js'
import { errorFromFailure, isCallFailure, parametersError } from '../failures.js'
import { ProgressHub } from './progress-hub.js'
import { endProgress } from '../progress.js'
import type { CallOptions } from '../python-runtime.js'
import type { PyInput, PyValue } from '../values.js'

/** The addon, and how a runtime calls it. */
export interface Link {
  readonly bridge: Bridge
  /** Option `latency: 'low'`. */
  readonly spins: boolean
  /** Gives out lines that have been printed in part. */
  readonly flushOutput: () => void
}

/** Session number of the host itself in native calls. */
export const HOST_SESSION = 0

/** One hub for all runtimes of this environment (the main thread, or one worker). */
export const progress = new ProgressHub()

/** Ids of calls, unique within this environment. */
let lastId = 0

/** Rejects with a {@link TorchbedError}. */
export async function call(
  link: Link,
  session: number,
  method: string,
  params: PyInput,
  options: CallOptions = {},
): Promise<PyValue> {
  const { bridge, flushOutput } = link
  const { signal, timeoutMs, onProgress } = options
  const id = ++lastId
  const name = calledAs(method, params)
  const cancel = signal && (() => bridge.cancel(id))
  let deadline: Deadline | undefined
  try {
    if (signal?.aborted) throw abortError(name, signal)
    if (bridge.isOverdue()) throw busyError(name, bridge)
    if (timeoutMs !== undefined) deadline = new Deadline(bridge, id, name, timeoutMs)
    if (onProgress) progress.add(id, onProgress)
    const answer = submit(link, session, id, method, params, options)
    if (cancel) signal.addEventListener('abort', cancel, { once: true })
    return await (deadline?.limit(answer) ?? answer)
  } catch (reason) {
    const stateChanged = isCallFailure(reason) ? reason.stateChanged : undefined
    if (isAborted(reason)) {
      if (signal?.aborted) throw abortError(name, signal, stateChanged)
      if (deadline?.passed) throw deadline.error(false, stateChanged)
    }
    throw typedError(name, reason)
  } finally {
    if (cancel) signal.removeEventListener('abort', cancel)
    deadline?.clear()
    flushOutput()
    if (onProgress) progress.delete(id)
    endProgress(onProgress)
  }
}

function submit(
  { bridge, spins }: Link,
  session: number,
  id: number,
  method: string,
  params: PyInput,
  { onProgress, urgent }: CallOptions,
): Promise<PyValue> {
  const title = calledAs(method, params)
  try {
    const { words, wordCount, numbers, numberCount, text, objects } = encodeValue(params)
    return bridge.call(
      session,
      id,
      method,
      title,
      spins,
      urgent === true,
      onProgress !== undefined,
      words,
      wordCount,
      numbers,
      numberCount,
      text,
      objects,
    )
  } catch (cause) {
    // The bridge lends what was encoded, and a getter may have taken it meanwhile.
    throw parametersError(cause, title)
  }
}

/** Cancels a call when its time is over, and gives it up when that does not end it. */
class Deadline {
  passed = false
  readonly #bridge: Bridge
  readonly #id: number
  readonly #method: string
  readonly #timeoutMs: number
  #timer: NodeJS.Timeout | undefined

  constructor(bridge: Bridge, id: number, method: string, timeoutMs: number) {
    checkTimeout(method, timeoutMs)
    this.#bridge = bridge
    this.#id = id
    this.#method = method
    this.#timeoutMs = timeoutMs
  }

  limit(answer: Promise<PyValue>): Promise<PyValue> {
    const overdue = new Promise<never>((_, reject) => {
      this.#timer = setTimeout(() => {
        this.passed = true
        this.#bridge.cancel(this.#id)
        this.#timer = setTimeout(() => {
          const stack = this.#bridge.pythonStack()
          if (this.#bridge.giveUp(this.#id)) reject(this.error(true, undefined, stack))
        }, DEADLINE_GRACE_MS)
      }, this.#timeoutMs)
    })
    return Promise.race([answer, overdue])
  }

  error(overdue: boolean, stateChanged?: boolean, stack = ''): DeadlineError {
    return deadlineError(this.#method, this.#timeoutMs, { overdue, stateChanged }, stack)
  }

  clear(): void {
    clearTimeout(this.#timer)
  }
}

/** What the bridge rejected with, as a typed error. */
export function typedError(method: string, reason: unknown): TorchbedError {
  if (reason instanceof TorchbedError) return reason
  if (isCallFailure(reason)) return errorFromFailure(reason, method)
  return new ProtocolError(`${method} failed in an unknown way`, { cause: reason })
}

function isAborted(reason: unknown): boolean {
  return isCallFailure(reason) && reason.code === 'ABORT_ERR'
}

function abortError(method: string, signal: AbortSignal, stateChanged?: boolean): AbortError {
  return new AbortError(`${method} was aborted`, { cause: signal.reason, stateChanged })
}

function busyError(method: string, bridge: Bridge): RuntimeBusyError {
  const { method: running, ageMs } = bridge.status()
  return new RuntimeBusyError(
    `Cannot call ${method}: Python is still inside ${running}, ${(ageMs / 1000).toFixed(1)} s after it ` +
      "began and past its deadline. Wait until runtime.state is not 'overdue'; a workload in a process " +
      "of its own (isolation: 'process') is killed instead",
  )
}
