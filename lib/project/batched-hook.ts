/** `project.batched`: many calls of a hook at the same time become one. */

import { MAX_TIMER_MS } from '../core/timers.js'
import { AbortError, DeadlineError, ValueError } from '../errors.js'
import { checkTimeout } from '../runtime/deadline.js'
import type { CallOptions } from '../runtime/python-runtime.js'
import { divided, layoutOf, stacked } from './batch-values.js'
import { callBatch, type HookCall } from './hook-calls.js'
import type { HookInput, HookOutput } from './hook-values.js'
import { readWith, type StandardSchema } from './workload-config-schema.js'

/** How calls are gathered into batches. */
export interface BatchOptions<Input = HookInput, Output = HookOutput> {
  /** The most calls in a batch; one that is full is sent at once. Default 64. */
  readonly maxBatch?: number | undefined
  /**
   * How long the first call of a batch waits for others, in milliseconds, 24 days at most. Default 0: for those that
   * are made in the same turn of the event loop. While a batch runs, calls are gathered in any case.
   */
  readonly maxWaitMs?: number | undefined
  /** Whether batches are urgent; see `CallOptions`. Default false. */
  readonly urgent?: boolean | undefined
  /** Reads the input of each call. Default: passed as it is. */
  readonly input?: StandardSchema<Input, unknown> | undefined
  /** Reads the share of each call in the output. Default: taken as it is. */
  readonly output?: StandardSchema<unknown, Output> | undefined
}

/** Calls the hook as part of a batch. Rejects as `project.call` does. */
export type BatchedHook<Input = HookInput, Output = HookOutput> = (
  input: Input,
  options?: Pick<CallOptions, 'signal' | 'timeoutMs'>,
) => Promise<Output>

type Target = Pick<HookCall, 'session' | 'model' | 'hook'>

/** One call that waits for its share. */
interface Waiting {
  readonly input: unknown
  readonly resolve: (share: HookOutput) => void
  readonly reject: (error: unknown) => void
  /** Stops waiting, whatever the call is doing. */
  leave: () => void
}

/** Calls of the same layout, to be sent together. */
interface Gathering {
  readonly calls: Set<Waiting>
  /** Whether it has waited long enough, and is sent when Python is free. */
  isDue: boolean
  timer: NodeJS.Timeout | NodeJS.Immediate | undefined
}

/** For `project.batched`. */
export function batchedHook<Input, Output>(
  target: Target,
  options: BatchOptions<Input, Output>,
): BatchedHook<Input, Output> {
  const gatherer = new Gatherer(target, options)
  return async (input, callOptions = {}) => {
    const given = options.input ? await readWith(options.input, input, 'input') : input
    const share = await gatherer.call(given, callOptions)
    return options.output ? readWith(options.output, share, 'output') : (share as Output)
  }
}

class Gatherer {
  readonly #target: Target
  readonly #maxBatch: number
  readonly #maxWaitMs: number
  readonly #urgent: boolean
  readonly #gatherings = new Map<string, Gathering>()
  #running = 0

  constructor(
    target: Target,
    {
      maxBatch = 64,
      maxWaitMs = 0,
      urgent = false,
    }: Pick<BatchOptions, 'maxBatch' | 'maxWaitMs' | 'urgent'>,
  ) {
    const refuse = (option: string, needed: string, got: number): ValueError =>
      new ValueError(`Cannot batch ${target.hook}: ${option} must be ${needed}, got ${got}`, option)
    if (!Number.isSafeInteger(maxBatch) || maxBatch < 1) {
      throw refuse('maxBatch', 'a whole number from 1 on', maxBatch)
    }
    if (!(maxWaitMs >= 0 && maxWaitMs <= MAX_TIMER_MS)) {
      throw refuse('maxWaitMs', `from 0 to ${MAX_TIMER_MS}`, maxWaitMs)
    }
    this.#target = target
    this.#maxBatch = maxBatch
    this.#maxWaitMs = maxWaitMs
    this.#urgent = urgent
  }

  async call(
    input: unknown,
    options: Pick<CallOptions, 'signal' | 'timeoutMs'>,
  ): Promise<HookOutput> {
    const { hook } = this.#target
    const { signal, timeoutMs } = options
    if (timeoutMs !== undefined) checkTimeout(hook, timeoutMs)
    if (signal?.aborted) throw aborted(hook, signal)
    const layout = layoutOf(input)
    let timer: NodeJS.Timeout | undefined
    let onAbort: (() => void) | undefined
    try {
      return await new Promise<HookOutput>((resolve, reject) => {
        const call: Waiting = { input, resolve, reject, leave: () => undefined }
        const leaveWith = (error: Error): void => {
          reject(error)
          call.leave()
        }
        if (signal) {
          onAbort = () => leaveWith(aborted(hook, signal))
          signal.addEventListener('abort', onAbort, { once: true })
        }
        if (timeoutMs !== undefined) {
          const message = `${hook} did not end within ${timeoutMs} ms`
          timer = setTimeout(
            () => leaveWith(new DeadlineError(message, { overdue: false })),
            timeoutMs,
          )
        }
        this.#gather(layout, call)
      })
    } finally {
      if (onAbort) signal?.removeEventListener('abort', onAbort)
      clearTimeout(timer)
    }
  }

  #gather(layout: string, call: Waiting): void {
    let gathering = this.#gatherings.get(layout)
    if (gathering === undefined) {
      const begun: Gathering = { calls: new Set(), isDue: false, timer: undefined }
      const onDue = (): void => {
        begun.isDue = true
        if (this.#running === 0) this.#send(layout, begun)
      }
      begun.timer = this.#maxWaitMs > 0 ? setTimeout(onDue, this.#maxWaitMs) : setImmediate(onDue)
      this.#gatherings.set(layout, begun)
      gathering = begun
    }
    const { calls } = gathering
    calls.add(call)
    call.leave = () => {
      calls.delete(call)
      if (calls.size === 0) this.#forget(layout, gathering)
    }
    if (calls.size >= this.#maxBatch) this.#send(layout, gathering)
  }

  #forget(layout: string, gathering: Gathering): void {
    // Each clears both kinds.
    clearTimeout(gathering.timer as NodeJS.Timeout)
    clearImmediate(gathering.timer as NodeJS.Immediate)
    if (this.#gatherings.get(layout) === gathering) this.#gatherings.delete(layout)
  }

  #send(layout: string, gathering: Gathering): void {
    this.#forget(layout, gathering)
    this.#running += 1
    void this.#run([...gathering.calls]).finally(() => {
      this.#running -= 1
      if (this.#running > 0) return
      for (const [next, waiting] of this.#gatherings) if (waiting.isDue) this.#send(next, waiting)
    })
  }

  /** Settles all calls. Rejects never. */
  async #run(calls: readonly Waiting[]): Promise<void> {
    const controller = new AbortController()
    const left = new Set<Waiting>()
    for (const call of calls) {
      call.leave = () => {
        left.add(call)
        if (left.size === calls.length) controller.abort()
      }
    }
    try {
      const input = stacked(calls.map((call) => call.input))
      const options = { signal: controller.signal, urgent: this.#urgent }
      const answer = await callBatch({ ...this.#target, input }, calls.length, options)
      const shares = divided(this.#target.hook, answer.output, calls.length)
      calls.forEach((call, index) => {
        const failure = answer.failed.get(index)
        if (failure === undefined) call.resolve(shares[index] as HookOutput)
        else call.reject(failure)
      })
    } catch (error) {
      for (const call of calls) call.reject(error)
    }
  }
}

function aborted(hook: string, { reason }: AbortSignal): AbortError {
  return new AbortError(`${hook} was aborted`, { cause: reason })
}
