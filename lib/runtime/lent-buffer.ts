import { ValueError } from '../errors.js'

/**
 * Memory that JavaScript owns and lends to Python for the length of one call, without a copy.
 *
 * Put it anywhere in a call's parameters: the hook receives a `torchbed.LentBuffer`, which has the
 * buffer protocol (`memoryview(b)`, `numpy.frombuffer(b)`, `torch.frombuffer(b, dtype=…)`). When the call
 * ends Python must have dropped it and every view of it; a call that kept one rejects with
 * `ERR_BUFFERS_RETAINED`, and the memory then stays on loan until Python lets go.
 *
 * @example
 * const weights = LentBuffer.transfer(buffer) // the caller's `buffer` is detached
 * await session.call('load', { weights })
 * const back = weights.take()
 */
export class LentBuffer {
  /** Whether Python may write to it. */
  readonly writable: boolean
  /** The memory; null once taken. For the addon: reading or detaching it while on loan is a race. */
  arrayBuffer: ArrayBuffer | null
  /** Set by the addon while a call has it, or Python kept it. */
  onLoan = false

  private constructor(memory: ArrayBuffer, writable: boolean) {
    this.arrayBuffer = memory
    this.writable = writable
  }

  /** Zeroed memory for Python to write to. */
  static allocate(byteLength: number): LentBuffer {
    return new LentBuffer(new ArrayBuffer(byteLength), true)
  }

  /** A copy of the bytes, for Python to read. */
  static copyOf(bytes: Uint8Array): LentBuffer {
    const copy = new Uint8Array(bytes.byteLength)
    copy.set(bytes)
    return new LentBuffer(copy.buffer, false)
  }

  /**
   * The memory itself, for Python to read. As with `postMessage`, the given buffer is detached, so that
   * nobody else can change or detach it during the call. Throws {@link ValueError} for memory that cannot
   * be transferred: shared, detached already, or pooled by Node.
   */
  static transfer(buffer: ArrayBuffer): LentBuffer {
    const refuse = (why: string, cause?: unknown) =>
      new ValueError(
        `Cannot transfer this buffer of ${buffer.byteLength} bytes: ${why}; copy it instead`,
        '',
        { cause },
      )
    let moved: ArrayBuffer
    try {
      new Uint8Array(buffer) // Throws when detached, which Node 20's structuredClone does not see.
      moved = structuredClone(buffer, { transfer: [buffer] })
    } catch (cause) {
      throw refuse(String(cause), cause)
    }
    // Node 20 copies its own pool in silence.
    if (buffer.byteLength > 0) throw refuse('Node pools it')
    return new LentBuffer(moved, false)
  }

  get byteLength(): number {
    return this.#memory().byteLength
  }

  /** Takes the memory back for good. Throws {@link ValueError} while it is on loan, or when taken before. */
  take(): ArrayBuffer {
    const memory = this.#memory()
    if (this.onLoan) {
      throw new ValueError('Cannot take a LentBuffer back: a call has it, or Python kept it', '')
    }
    this.arrayBuffer = null
    return memory
  }

  #memory(): ArrayBuffer {
    if (this.arrayBuffer !== null) return this.arrayBuffer
    throw new ValueError('This LentBuffer was taken and holds no memory any more', '')
  }
}
