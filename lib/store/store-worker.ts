/** The store's own thread: runs tasks as they are asked for, several at one time. Started by `store-thread.ts`. */

import { parentPort } from 'node:worker_threads'

import { throwIfAborted } from '../core/abort.js'
import { slicedChunks, type ChunkFeed, type LentChunk } from './chunk-feed.js'
import { releaseMemory } from '../threads/release-memory.js'
import type { StoreThreadReply, StoreThreadRequest } from './store-thread-messages.js'
import { runTask } from './tasks.js'
import { threadErrors } from './thread-errors.js'

/** The chunks of one task as they are posted. */
class PostedChunks {
  readonly #chunks: LentChunk[] = []
  #ended = false
  #wake: () => void = () => undefined

  add(chunk: LentChunk): void {
    this.#chunks.push(chunk)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  /** Must be called when the signal fires. */
  wake(): void {
    this.#wake()
  }

  async *feed(signal: AbortSignal): ChunkFeedGenerator {
    for (;;) {
      throwIfAborted(signal, 'store an artifact')
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) yield chunk
      else if (this.#ended) return
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}

type ChunkFeedGenerator = AsyncGenerator<LentChunk> & ChunkFeed

interface Running {
  readonly posted: PostedChunks
  readonly abort: AbortController
}

const port = parentPort
if (port === null) throw new Error('store-worker.js must be started as a worker thread')
const running = new Map<number, Running>()
const post = (reply: StoreThreadReply, transfer: readonly ArrayBuffer[] = []) =>
  port.postMessage(reply, [...transfer])

port.on('message', (request: StoreThreadRequest) => {
  if (request.type === 'free') {
    releaseMemory(request.memory)
    return
  }
  const { id } = request
  switch (request.type) {
    case 'run':
      void run(request)
      break
    case 'chunk': {
      const giveBack = (memory: ArrayBuffer) => post({ type: 'back', id, memory }, [memory])
      const task = running.get(id)
      // It failed meanwhile; the other side is about to hear.
      if (task === undefined) giveBack(request.bytes.buffer)
      else task.posted.add({ bytes: request.bytes, giveBack })
      break
    }
    case 'end':
      running.get(id)?.posted.end()
      break
    case 'abort': {
      const task = running.get(id)
      task?.abort.abort()
      task?.posted.wake()
      break
    }
  }
})

async function run(request: StoreThreadRequest & { type: 'run' }): Promise<void> {
  const { id, name, args, bytes } = request
  const posted = new PostedChunks()
  const abort = new AbortController()
  const { signal } = abort
  running.set(id, { posted, abort })
  try {
    const result = await runTask(name, args, {
      chunks: (cuts) => (bytes === undefined ? posted.feed(signal) : slicedChunks(bytes, cuts)),
      signal,
    })
    post({ type: 'done', id, result }, result instanceof Uint8Array ? [result.buffer] : [])
  } catch (error) {
    post({ type: 'failed', id, error: threadErrors.encode(error) })
  } finally {
    running.delete(id)
    if (bytes !== undefined) releaseMemory(bytes.buffer)
  }
}
