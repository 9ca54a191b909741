/** Frames of the worker protocol (spec worker-protocol#frames): an 8-byte big-endian length, then that many bytes. */

const HEADER_BYTES = 8

/** A length that a worker announced, and that is refused. */
export class FrameTooLarge extends Error {
  constructor(
    readonly announced: bigint,
    readonly maxBytes: number,
  ) {
    super(`the worker announced ${announced} bytes, more than the limit of ${maxBytes}`)
  }
}

/** A text as one frame, in one piece, so that it is one write. */
export function frameOf(text: string): Buffer {
  const length = Buffer.byteLength(text)
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length)
  frame.writeBigUInt64BE(BigInt(length))
  frame.write(text, HEADER_BYTES)
  return frame
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  readonly #maxBytes: number
  #chunks: Buffer[] = []
  #size = 0
  /** Of the frame whose header is read. */
  #length: number | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Whether bytes are held that belong to no whole frame. */
  get hasPart(): boolean {
    return this.#size > 0 || this.#length !== undefined
  }

  /**
   * Takes the next bytes and gives the frames that are whole now.
   * Throws {@link FrameTooLarge} at the header, before memory is set aside for its frame.
   */
  *push(chunk: Buffer): Generator<Buffer> {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    for (;;) {
      if (this.#length === undefined) {
        if (this.#size < HEADER_BYTES) return
        const announced = this.#take(HEADER_BYTES).readBigUInt64BE()
        if (announced > this.#maxBytes) throw new FrameTooLarge(announced, this.#maxBytes)
        this.#length = Number(announced)
      }
      if (this.#size < this.#length) return
      const frame = this.#take(this.#length)
      this.#length = undefined
      yield frame
    }
  }

  #take(size: number): Buffer {
    const [first] = this.#chunks
    const all =
      first !== undefined && this.#chunks.length === 1 ? first : Buffer.concat(this.#chunks)
    this.#chunks = all.length > size ? [all.subarray(size)] : []
    this.#size -= size
    return all.subarray(0, size)
  }
}
