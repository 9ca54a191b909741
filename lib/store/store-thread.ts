/** The thread on which large artifacts are hashed, stored and loaded, seen from the thread that uses the store. */

import { Worker } from 'node:worker_threads'

import { AbortError } from '../errors.js'
import type { GatheredChunks, LentChunk } from './chunk-feed.js'
import { StoreThreadError } from './errors.js'
import { releaseMemory } from '../threads/release-memory.js'
import type { StoreThreadReply, StoreThreadRequest } from './store-thread-messages.js'
import { threadErrors } from './thread-errors.js'
import type { TaskArguments, TaskName, TaskResult } from './tasks.js'

/** The bytes that a task takes: all at once, whose ArrayBuffer goes over for good, or as they are gathered. */
export interface ThreadInput {
  readonly bytes?: Uint8Array<ArrayBuffer> | undefined
  readonly gathered?: GatheredChunks | undefined
  readonly signal?: AbortSignal | undefined
}

type Send = (request: StoreThreadRequest, transfer?: readonly ArrayBuffer[]) => void

/** One task under way over there. */
class Call {
  readonly result: Promise<unknown>
  resolve!: (result: unknown) => void
  reject!: (error: unknown) => void
  /** What takes back the buffers that are over there; any of them will do for any buffer. */
  readonly lent: LentChunk['giveBack'][] = []

  constructor() {
    this.result = new Promise<unknown>((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // It may fail before it is waited for.
    this.result.catch(() => undefined)
  }
}

/**
 * Starts its worker with the first task, and another one when that has died. The worker keeps the process alive
 * while it has tasks, and only then; it ends with the thread that started it.
 */
export class StoreThread {
  readonly #script: URL
  readonly #calls = new Map<number, Call>()
  #worker: Worker | undefined
  #lastId = 0

  /** @param script of the worker; default: the store's own */
  constructor(script: URL = new URL('./store-worker.js', import.meta.url)) {
    this.#script = script
  }

  /**
   * Runs a task over there. Rejects when the task has ended, after an abort too, so that nothing continues behind the
   * caller's back.
   *
   * @throws what the task throws; StoreThreadError when the worker dies; what the source of `gathered` throws;
   *   AbortError when the signal fires first
   */
  async run<N extends TaskName>(
    name: N,
    args: TaskArguments<N>,
    { bytes, gathered, signal }: ThreadInput,
  ): Promise<TaskResult<N>> {
    const worker = this.#started()
    const id = ++this.#lastId
    const send: Send = (request, transfer = []) => worker.postMessage(request, [...transfer])
    const abort = () => send({ type: 'abort', id })
    const call = new Call()
    this.#calls.set(id, call)
    worker.ref()
    signal?.addEventListener('abort', abort, { once: true })
    try {
      send({ type: 'run', id, name, args, bytes }, bytes && [bytes.buffer])
      if (signal?.aborted === true) abort()
      if (gathered !== undefined) await feed(gathered, call, id, send)
      return (await call.result) as TaskResult<N>
    } catch (error) {
      if (signal?.aborted === true && error instanceof AbortError) {
        throw new AbortError(error.message, { cause: signal.reason })
      }
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#calls.delete(id)
      if (this.#calls.size === 0) worker.unref()
    }
  }

  /** Frees memory over there; the buffer is detached. Here, where no worker runs. */
  free(memory: ArrayBuffer): void {
    if (this.#worker === undefined) releaseMemory(memory)
    else this.#worker.postMessage({ type: 'free', memory } satisfies StoreThreadRequest, [memory])
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker
    // Flags of this process such as --input-type would keep the script from starting.
    const worker = new Worker(this.#script, { execArgv: [] })
    this.#worker = worker
    let cause: unknown
    worker.on('message', (reply: StoreThreadReply) => this.#receive(reply))
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', (exitCode) => {
      this.#worker = undefined
      const error = new StoreThreadError(exitCode, cause === undefined ? {} : { cause })
      for (const call of this.#calls.values()) call.reject(error)
    })
    return worker
  }

  #receive(reply: StoreThreadReply): void {
    const call = this.#calls.get(reply.id)
    if (reply.type === 'done') call?.resolve(reply.result)
    else if (reply.type === 'failed') call?.reject(threadErrors.decode(reply.error))
    else {
      const giveBack = call?.lent.pop() ?? releaseMemory
      giveBack(reply.memory)
    }
  }
}

/** Posts the chunks as they are gathered. When that fails, the task is aborted, and waited for. */
async function feed(gathered: GatheredChunks, call: Call, id: number, send: Send): Promise<void> {
  let failure: { readonly error: unknown } | undefined
  call.result.catch((error: unknown) => {
    failure ??= { error }
    // Neither the source nor a buffer is waited for any more.
    gathered.stop(error)
  })
  try {
    for await (const { bytes, giveBack } of gathered) {
      call.lent.push(giveBack)
      send({ type: 'chunk', id, bytes }, [bytes.buffer])
    }
    send({ type: 'end', id })
  } catch (error) {
    failure ??= { error }
    send({ type: 'abort', id })
    await call.result.catch(() => undefined)
    throw failure.error
  }
}
