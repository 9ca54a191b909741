import { isAnyArrayBuffer, isArrayBuffer, isDataView } from 'node:util/types'
import { ValueError } from '../errors.js'
import { className, RefusedValue } from './conversion-error.js'

/**
 * Memory that JavaScript owns and lends to Python for the length of one call, without a copy.
 *
 * Put it anywhere in a call's parameters, once: the hook receives a `torchbed.LentBuffer`, which has the
 * buffer protocol (`memoryview(b)`, `numpy.frombuffer(b)`, `torch.frombuffer(b, dtype=…)`). When the call
 * ends Python must have dropped it and every view of it; a call that kept one rejects with
 * `ERR_BUFFERS_RETAINED`, and the memory then stays on loan until Python lets go. docs/reference/values.md has the
 * whole contract.
 *
 * @example
 * const shard = LentBuffer.transfer(buffer) // the caller's `buffer` is detached
 * await project.trainWindow({ model, batches: [{ kind: 'memory_microshard_group', shards: [shard], … }] })
 * const back = shard.take()
 */
export class LentBuffer {
  /** Whether Python may write to it. */
  readonly writable: boolean
  /** In bytes, taken or not. */
  readonly #size: number
  /** Null once taken. */
  #memory: ArrayBuffer | null
  /** Whether a call has it, or Python kept it beyond its call. Set by the addon. */
  onLoan = false

  private constructor(memory: ArrayBuffer, writable: boolean) {
    this.#size = memory.byteLength
    this.#memory = memory
    this.writable = writable
  }

  /**
   * Zeroed memory for Python to write to. Throws {@link ValueError} for a size that is no whole number of
   * bytes, or that the system does not give.
   */
  static allocate(byteLength: number): LentBuffer {
    if (!Number.isSafeInteger(byteLength) || byteLength < 0) {
      throw new ValueError(
        `Cannot allocate ${String(byteLength)} bytes: give a whole number of bytes, zero or more`,
        '',
      )
    }
    return new LentBuffer(newMemory(byteLength), true)
  }

  /**
   * A copy of the bytes, for Python to read: of memory of any kind, shared and resizable memory too, as it is
   * now. Throws {@link ValueError} for what is detached, or out of the bounds of resizable memory.
   */
  static copyOf(bytes: ArrayBufferView | ArrayBufferLike): LentBuffer {
    const source = bytesOf(bytes)
    const memory = newMemory(source.byteLength)
    new Uint8Array(memory).set(source)
    return new LentBuffer(memory, false)
  }

  /**
   * The memory itself, for Python to read, whole: the offset of a view of it does not matter. As with
   * `postMessage`, the given buffer is detached, so that nothing else can change or detach it during the call.
   * Throws {@link ValueError}, and leaves the buffer as it is, for memory that cannot be transferred: shared,
   * resizable, detached already, pooled by Node, or that of a `WebAssembly.Memory`.
   */
  static transfer(buffer: ArrayBuffer): LentBuffer {
    const given: unknown = buffer
    if (!isAnyArrayBuffer(given)) {
      const what = ArrayBuffer.isView(given) ? 'a view; pass its .buffer' : kindOf(given)
      throw new ValueError(
        `Cannot transfer this: an ArrayBuffer is needed, and this is ${what}`,
        '',
      )
    }
    const refuse = (why: string, cause?: unknown) =>
      new ValueError(
        `Cannot transfer this buffer of ${given.byteLength} bytes: ${why}; use LentBuffer.copyOf`,
        '',
        { cause },
      )
    if (!isArrayBuffer(given)) throw refuse('it is shared, and others could write to it')
    // A resizable buffer stays one when it is moved, and its pages go away when it shrinks.
    if (isResizable(given)) throw refuse('it is resizable')
    let moved: ArrayBuffer
    try {
      new Uint8Array(given) // Throws when detached, which Node 20's structuredClone does not see.
      moved = move(given)
    } catch (cause) {
      throw refuse(String(cause), cause)
    }
    // Node 20 copies in silence what cannot be detached; later ones throw above.
    if (given.byteLength > 0) throw refuse('Node pools it, or WebAssembly owns it')
    return new LentBuffer(moved, false)
  }

  /** Size of the memory. Throws {@link ValueError} once it was taken. */
  get byteLength(): number {
    return this.#held().byteLength
  }

  /**
   * For the addon: the memory of a new loan. It first moves to a new ArrayBuffer, so that what
   * {@link bytes} gave before can neither change nor free it. Throws as {@link checkFree} does.
   */
  get arrayBuffer(): ArrayBuffer {
    this.#memory = move(this.checkFree())
    return this.#memory
  }

  /** For a call that is to lend it: throws `RefusedValue` when it cannot be lent. */
  checkFree(): ArrayBuffer {
    if (this.#memory === null) {
      throw new RefusedValue('this LentBuffer was taken and no longer holds memory')
    }
    if (this.onLoan) {
      throw new RefusedValue('this LentBuffer is on loan to another call, or kept by Python')
    }
    if (this.#isDetached(this.#memory)) {
      throw new RefusedValue('the memory of this LentBuffer was transferred away')
    }
    return this.#memory
  }

  /**
   * The bytes between two calls: to fill before one, or to read after one. The view is of this moment: the
   * next call that gets the LentBuffer leaves it empty. Throws {@link ValueError} as {@link take} does.
   */
  bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#free('read'))
  }

  /** Takes the memory back for good. Throws {@link ValueError} while it is on loan, or when taken before. */
  take(): ArrayBuffer {
    const memory = this.#free('take back')
    this.#memory = null
    return memory
  }

  #free(action: string): ArrayBuffer {
    const memory = this.#held()
    if (!this.onLoan) return memory
    throw new ValueError(
      `Cannot ${action} this LentBuffer of ${this.#size} bytes: a call has it, or Python kept it`,
      '',
    )
  }

  #held(): ArrayBuffer {
    if (this.#memory === null) {
      throw new ValueError('This LentBuffer was taken and no longer holds memory', '')
    }
    if (this.#isDetached(this.#memory)) {
      throw new ValueError('The memory of this LentBuffer was transferred away', '')
    }
    return this.#memory
  }

  #isDetached(memory: ArrayBuffer): boolean {
    return memory.byteLength !== this.#size
  }
}

function newMemory(byteLength: number): ArrayBuffer {
  try {
    return new ArrayBuffer(byteLength)
  } catch (cause) {
    throw new ValueError(
      `Cannot allocate ${byteLength} bytes: ${String(cause)}; lend it in smaller pieces`,
      '',
      { cause },
    )
  }
}

/** Another ArrayBuffer over the same memory; the given one is detached. */
function move(buffer: ArrayBuffer): ArrayBuffer {
  return structuredClone(buffer, { transfer: [buffer] })
}

function bytesOf(bytes: unknown): Uint8Array {
  try {
    if (isAnyArrayBuffer(bytes)) return new Uint8Array(bytes)
    if (ArrayBuffer.isView(bytes)) {
      // Throws when detached or out of bounds, as a DataView's byteLength does by itself.
      if (!isDataView(bytes)) (bytes as Uint8Array).at(0)
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
  } catch (cause) {
    throw new ValueError(
      `Cannot copy these bytes: ${String(cause)}; the memory was transferred away or shrunk`,
      '',
      { cause },
    )
  }
  throw new ValueError(
    `Cannot copy ${kindOf(bytes)}: pass an ArrayBuffer, a SharedArrayBuffer or a view of one`,
    '',
  )
}

function isResizable(buffer: ArrayBuffer): boolean {
  return (buffer as { resizable?: boolean }).resizable === true
}

function kindOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? className(value) : String(value)
}
