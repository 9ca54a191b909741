/** `project.stream`: what a generator hook yields, as an async iterable. */

import { AbortError, DeadlineError, ValueError } from '../errors.js'
import { checkTimeout } from '../runtime/deadline.js'
import type { CallOptions, WorkloadSession } from '../runtime/python-runtime.js'
import {
  closeStream,
  nextItems,
  openStream,
  type HookCall,
  type StreamSlice,
} from './hook-calls.js'
import type { HookOutput } from './hook-values.js'

/** How many items a generator may be ahead of its consumer, unless told otherwise. */
export const READ_AHEAD = 32

/** How a stream is made. */
export interface HookStreamSource<Item> {
  /** What to call: made when the first item is asked for. */
  readonly open: () => Promise<HookCall>
  /** Checks an item. */
  readonly read: (item: HookOutput) => Promise<Item> | Item
  readonly session: WorkloadSession
  readonly hook: string
  readonly readAhead: number | undefined
}

/** What ends a stream that was dropped without a word. Never refers to the stream. */
interface Held {
  readonly session: WorkloadSession
  id: string | undefined
  /** Removes the listeners that the stream has set. */
  detach: () => void
}

const dropped = new FinalizationRegistry<Held>((held) => {
  held.detach()
  if (held.id !== undefined) held.session.releaseModel(held.id)
})

/** The items of a generator hook, for one consumer, over the calls of a session. Overlapping calls of `next()` queue. */
export class HookStream<Item> implements AsyncGenerator<Item, undefined, undefined> {
  readonly #source: HookStreamSource<Item>
  readonly #options: CallOptions
  readonly #readAhead: number
  /** Cancels the call that runs. */
  readonly #controller = new AbortController()
  readonly #held: Held
  #items: AsyncGenerator<Item, undefined> | undefined
  #isOver = false
  /** Why the stream ended while no call was running. */
  #failure: Error | undefined
  #endsAt: number | undefined
  #pending: Promise<StreamSlice> | undefined
  /** Whether Python is asked for something just now. */
  isCalling = false
  #closing: Promise<void> | undefined

  /** For `project.stream`. */
  constructor(source: HookStreamSource<Item>, options: CallOptions) {
    const { readAhead = READ_AHEAD } = source
    if (!Number.isSafeInteger(readAhead) || readAhead < 0) {
      throw new ValueError(
        `Cannot stream ${source.hook}: readAhead must be a whole number from 0 on, got ${readAhead}`,
        'readAhead',
      )
    }
    if (options.timeoutMs !== undefined) checkTimeout(source.hook, options.timeoutMs)
    this.#source = source
    this.#options = options
    this.#readAhead = readAhead
    this.#held = { session: source.session, id: undefined, detach: () => undefined }
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined })
    this.#items ??= this.#run()
    return this.#items.next()
  }

  /** Ends the generator, in the middle of an item too, and resolves when its `finally` has run. */
  async return(): Promise<IteratorResult<Item, undefined>> {
    this.#isOver = true
    this.#controller.abort()
    await this.#items?.return(undefined)
    return { done: true, value: undefined }
  }

  /** `return()`, and rejects with the error. */
  async throw(error: unknown): Promise<never> {
    await this.return()
    throw error
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** `return()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  async *#run(): AsyncGenerator<Item, undefined> {
    const ready: HookOutput[] = []
    let isDone = false
    let hasFailed = false
    this.#watch()
    try {
      this.#pending = this.#open()
      for (;;) {
        if (ready.length === 0) {
          if (isDone) return
          const slice = await (this.#pending ??= this.#fetch(this.#readAhead || 1))
          this.#pending = undefined
          ready.push(...slice.items)
          isDone = slice.isDone
          continue
        }
        const item = ready.shift() as HookOutput
        if (!isDone && this.#pending === undefined && ready.length < this.#readAhead / 2) {
          this.#pending = this.#fetch(this.#readAhead - ready.length)
          // Told when it is awaited.
          this.#pending.catch(() => undefined)
        }
        yield await this.#source.read(item)
        if (this.#failure !== undefined) throw this.#failure
      }
    } catch (error) {
      hasFailed = true
      if (this.#isOver && error instanceof AbortError) return
      throw this.#failure ?? error
    } finally {
      this.#isOver = true
      this.#held.detach()
      dropped.unregister(this)
      if (!isDone) {
        this.#controller.abort()
        // What failed first is what is told.
        await (hasFailed ? this.#close().catch(() => undefined) : this.#close())
      }
    }
  }

  async #open(): Promise<StreamSlice> {
    this.isCalling = true
    try {
      const opened = await openStream(await this.#source.open(), this.#callOptions())
      this.#held.id = opened.id
      return opened
    } finally {
      this.isCalling = false
    }
  }

  async #fetch(most: number): Promise<StreamSlice> {
    const { session, hook } = this.#source
    this.isCalling = true
    try {
      const stream = { id: this.#held.id ?? '', hook, most }
      return await nextItems(session, stream, this.#callOptions())
    } finally {
      this.isCalling = false
    }
  }

  #callOptions(): CallOptions {
    const { signal } = this.#controller
    const { onProgress, urgent } = this.#options
    const options = { signal, onProgress, urgent }
    if (this.#endsAt === undefined) return options
    return { ...options, timeoutMs: Math.max(0, this.#endsAt - performance.now()) }
  }

  /** Ends the generator once, after the call that may be running. */
  #close(): Promise<void> {
    return (this.#closing ??= (async () => {
      await this.#pending?.catch(() => undefined)
      const { id, session } = this.#held
      if (id !== undefined) await closeStream(session, { id, hook: this.#source.hook })
    })())
  }

  /** Ends the stream at the signal and at the deadline, also while its consumer is busy with an item. */
  #watch(): void {
    const { signal, timeoutMs } = this.#options
    const { hook } = this.#source
    // Weakly: neither a signal nor a timer keeps a stream alive that was dropped.
    const stream = new WeakRef<HookStream<unknown>>(this)
    const onAbort = (): void => {
      const cause: unknown = signal?.reason
      HookStream.#failIfAlive(stream, new AbortError(`${hook} was aborted`, { cause }), cause)
    }
    let timer: NodeJS.Timeout | undefined
    if (timeoutMs !== undefined) {
      this.#endsAt = performance.now() + timeoutMs
      timer = setTimeout(() => {
        const message = `${hook} did not end within ${timeoutMs} ms`
        const error = new DeadlineError(message, { overdue: false })
        // A call that runs has the deadline itself, and says more.
        if (stream.deref()?.isCalling === false) HookStream.#failIfAlive(stream, error, error)
      }, timeoutMs)
      timer.unref()
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#held.detach = () => {
      signal?.removeEventListener('abort', onAbort)
      clearTimeout(timer)
    }
    dropped.register(this, this.#held, this)
    if (signal?.aborted === true) onAbort()
  }

  static #failIfAlive(stream: WeakRef<HookStream<unknown>>, error: Error, reason: unknown): void {
    const alive = stream.deref()
    if (alive !== undefined) alive.#fail(error, reason)
  }

  #fail(error: Error, reason: unknown): void {
    this.#failure ??= error
    this.#controller.abort(reason)
    this.#close().catch(() => undefined)
  }
}
