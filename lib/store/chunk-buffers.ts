/** A few buffers of one chunk each: filled, lent, and used again. */

import { CHUNK_BUFFER_BYTES, MAX_CHUNKS_IN_FLIGHT } from './constants.js'
import { releaseMemory } from '../threads/release-memory.js'

/** How many chunks of a size, in bytes, may be in memory at one time; two at least. */
export function chunksInMemory(chunkBytes: number): number {
  const room = Math.floor(CHUNK_BUFFER_BYTES / Math.max(chunkBytes, 1))
  return Math.min(Math.max(room, 2), MAX_CHUNKS_IN_FLIGHT + 1)
}

export class ChunkBuffers {
  readonly #size: number
  readonly #free: ArrayBuffer[] = []
  #allowed: number
  #wake: () => void = () => undefined
  #released = false

  /** @param size of each, in bytes */
  constructor(size: number) {
    this.#size = size
    // One is filled while another is written.
    this.#allowed = chunksInMemory(size)
  }

  /**
   * Waits for a free buffer.
   *
   * @param stopIfAborted throws when the wait is over for another reason, after {@link wake}
   */
  async take(stopIfAborted: () => void): Promise<ArrayBuffer> {
    for (;;) {
      stopIfAborted()
      const buffer = this.#free.pop()
      if (buffer !== undefined) return buffer
      if (this.#allowed > 0) {
        this.#allowed--
        // Not zeroed: it is filled before it is looked at.
        return Buffer.allocUnsafeSlow(this.#size).buffer
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  giveBack(buffer: ArrayBuffer): void {
    if (this.#released) {
      releaseMemory(buffer)
      return
    }
    this.#free.push(buffer)
    this.#wake()
  }

  /** Makes a waiting {@link take} look again. */
  wake(): void {
    this.#wake()
  }

  /** Frees the memory; that of lent buffers when they come back. */
  release(): void {
    this.#released = true
    for (const buffer of this.#free.splice(0)) releaseMemory(buffer)
  }
}
