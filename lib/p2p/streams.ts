/** Whole messages over streams of libp2p: written in pieces under back-pressure, read to their end under a limit. */

import type { Stream, StreamMessageEvent } from '@libp2p/interface'

/** Bytes that several readers may hold together. */
export class ByteBudget {
  #left: number

  constructor(bytes: number) {
    this.#left = bytes
  }

  /** False when there are not as many left. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#left += bytes
  }
}

/** Pieces in which a message is written: the receive window of yamux before it grows. */
const PIECE_BYTES = 262_144

/** Why a message could not be read. */
export class StreamReadError extends Error {
  override readonly name = 'StreamReadError'
  /** Whether the other side sent more than it may; else it reset the stream. */
  readonly tooLarge: boolean

  constructor(message: string, tooLarge: boolean, options?: ErrorOptions) {
    super(message, options)
    this.tooLarge = tooLarge
  }
}

/**
 * Writes a message and closes the writing side; reading goes on. Settles when the message is on its way.
 *
 * @throws the error with which the stream ended, or the signal's reason
 */
export async function writeMessage(
  stream: Stream,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const options = signal === undefined ? {} : { signal }
  for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES) {
    if (!stream.send(bytes.subarray(offset, offset + PIECE_BYTES))) await stream.onDrain(options)
  }
  await stream.close(options)
}

/**
 * Reads all that the other side sends until it closes its writing side.
 *
 * @param budget what this message and others that are being read may have together
 * @throws StreamReadError when it is more than `limit` bytes or than the budget, or the stream is reset; the signal's reason
 */
export async function readMessage(
  stream: Stream,
  limit: number,
  signal?: AbortSignal,
  budget?: ByteBudget,
): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let length = 0
  let taken = 0
  await new Promise<void>((resolve, reject) => {
    const finish = (act: () => void) => {
      stream.removeEventListener('message', onMessage)
      stream.removeEventListener('end', onEnd)
      stream.removeEventListener('close', onEnd)
      signal?.removeEventListener('abort', onAbort)
      act()
    }
    const onMessage = ({ data }: StreamMessageEvent) => {
      length += data.byteLength
      const text = `more than the ${limit} bytes that are allowed`
      const fits = length <= limit && (budget?.take(data.byteLength) ?? true)
      if (fits) {
        taken += data.byteLength
        pieces.push(data.subarray())
      } else finish(() => reject(new StreamReadError(text, true)))
    }
    const onEnd = () => {
      const isWhole = stream.status !== 'reset' && stream.status !== 'aborted'
      if (isWhole) finish(resolve)
      else finish(() => reject(new StreamReadError(`the stream was ${stream.status}`, false)))
    }
    // The reason of a signal is an Error wherever it comes from a timeout or from AbortController.abort().
    const onAbort = () => finish(() => reject(signal?.reason as Error))
    if (signal?.aborted === true) {
      onAbort()
      return
    }
    signal?.addEventListener('abort', onAbort, { once: true })
    stream.addEventListener('end', onEnd)
    stream.addEventListener('close', onEnd)
    // The last one: it makes the stream hand out what has come already.
    stream.addEventListener('message', onMessage)
    if (stream.readableEnded) onEnd()
  }).finally(() => budget?.giveBack(taken))
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces, length)
}
