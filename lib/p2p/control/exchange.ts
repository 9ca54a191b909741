/**
 * The framing of burn_p2p's one request/response protocol (spec network#control-protocol): a substream for each request, the
 * request to its end, then the response to its end, and no length in front of either.
 */

import type { Connection, Stream } from '@libp2p/interface'
import type { ConnectionManager, Registrar } from '@libp2p/interface-internal'

import { throwIfAborted } from '../../core/abort.js'
import {
  MessageTooLargeError,
  P2pError,
  PeerProtocolError,
  PeerTimeoutError,
  PeerUnreachableError,
} from '../errors.js'
import {
  MAX_REQUESTS_PER_CONNECTION,
  MAX_REQUEST_BYTES,
  MAX_RESPONSE_BYTES,
  REQUEST_TIMEOUT_MS,
} from '../limits.js'
import { RequestGuard } from './guard.js'
import { readMessage, StreamReadError, writeMessage } from '../streams.js'

/** What a request may be told. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the request counts as unanswered. Default 10,000. */
  readonly timeoutMs?: number | undefined
}

/**
 * Sends a request over a connection, and reads the response.
 *
 * @param open opens a stream of the protocol to the peer
 * @throws MessageTooLargeError before anything is sent; PeerUnreachableError, PeerTimeoutError, PeerProtocolError; AbortError
 */
export async function exchange(
  open: (signal: AbortSignal) => Promise<Stream>,
  peerId: string,
  request: Uint8Array,
  { signal, timeoutMs = REQUEST_TIMEOUT_MS }: RequestOptions = {},
): Promise<Uint8Array> {
  if (request.length > MAX_REQUEST_BYTES) {
    throw new MessageTooLargeError(
      `The request has ${request.length} bytes; the network allows ${MAX_REQUEST_BYTES}`,
    )
  }
  const deadline = AbortSignal.timeout(timeoutMs)
  const stop = signal === undefined ? deadline : AbortSignal.any([signal, deadline])
  let stream: Stream | undefined
  try {
    stream = await open(stop)
    const response = readMessage(stream, MAX_RESPONSE_BYTES, stop)
    // Its error is thrown below; until the request is written it must not count as unhandled.
    response.catch(() => undefined)
    await writeMessage(stream, request, stop)
    return await response
  } catch (error) {
    stream?.abort(error instanceof Error ? error : new Error(String(error)))
    throwIfAborted(signal, 'ask a peer')
    throw asPeerError(error, peerId, deadline.aborted ? timeoutMs : undefined)
  }
}

/** What answers requests: bytes in, bytes out. A rejection resets the stream, so that the peer sees a failure. */
export type Answer = (peerId: string, request: Uint8Array) => Promise<Uint8Array>

/**
 * Answers requests of a protocol until it is undone.
 *
 * @param onFailure told of every request that was not answered, with the peer that sent it
 * @param guard bounds what a peer may ask for
 * @returns undoes it
 */
export async function answerRequests(
  registrar: Pick<Registrar, 'handle' | 'unhandle'>,
  protocol: string,
  answer: Answer,
  onFailure: (error: P2pError, peerId: string) => void,
  guard: RequestGuard = new RequestGuard(),
): Promise<() => Promise<void>> {
  const handler = async (stream: Stream, connection: Connection) => {
    const peerId = connection.remotePeer.toString()
    const deadline = AbortSignal.timeout(REQUEST_TIMEOUT_MS)
    try {
      const { budget, slots } = guard.enter(peerId)
      const request = await readMessage(stream, MAX_REQUEST_BYTES, deadline, budget)
      // A response is in memory until its peer has read it.
      await slots.run(async () => {
        deadline.throwIfAborted()
        const response = await answer(peerId, request)
        if (response.length > MAX_RESPONSE_BYTES) {
          throw new MessageTooLargeError(
            `A response has ${response.length} bytes; the network allows ${MAX_RESPONSE_BYTES}`,
          )
        }
        await writeMessage(stream, response, deadline)
      })
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      onFailure(
        asPeerError(error, peerId, deadline.aborted ? REQUEST_TIMEOUT_MS : undefined),
        peerId,
      )
    }
  }
  await registrar.handle(protocol, handler, {
    maxInboundStreams: MAX_REQUESTS_PER_CONNECTION,
    maxOutboundStreams: MAX_REQUESTS_PER_CONNECTION,
  })
  return () => registrar.unhandle(protocol)
}

/** Opens streams of a protocol to a peer that is connected, or can be dialled. */
export function streamOpener(
  connections: Pick<ConnectionManager, 'openStream'>,
  protocol: string,
): (peerId: string, signal: AbortSignal) => Promise<Stream> {
  return async (peerId, signal) => {
    const { peerIdFromString } = await import('@libp2p/peer-id')
    return connections.openStream(peerIdFromString(peerId), protocol, {
      signal,
      maxOutboundStreams: MAX_REQUESTS_PER_CONNECTION,
    })
  }
}

/** The error of a stream or a connection as one of ours. */
export function asPeerError(error: unknown, peerId: string, timeoutMs?: number): P2pError {
  if (error instanceof P2pError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const options = { cause: error }
  if (timeoutMs !== undefined) {
    return new PeerTimeoutError(`${peerId} did not answer in ${timeoutMs} ms`, peerId, options)
  }
  if (error instanceof StreamReadError && error.tooLarge) {
    return new PeerProtocolError(`${peerId} sends ${reason}`, peerId, {
      ...options,
      fault: 'oversize',
    })
  }
  return new PeerUnreachableError(`Cannot exchange with ${peerId}: ${reason}`, peerId, options)
}
