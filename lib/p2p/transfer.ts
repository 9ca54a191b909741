/**
 * Chunks between peers of ours: one substream a chunk, its bytes as they are. The control protocol of the network writes each byte as
 * a number of one or two bytes, and both sides spend more on that than on all the rest.
 *
 * Request: CBOR of `[artifact id, chunk id]`. Response: a byte 1 and the chunk, or a byte 0 where it is not on offer. Who asks
 * decides how much is under way: it asks for the next chunk when one has come.
 */

import type { Registrar } from '@libp2p/interface-internal'

import { WireFormatError } from '../errors.js'
import { ArtifactId, ChunkId, tuple } from '../schema/index.js'
import type { ProvidedArtifacts } from '../swarm/provided.js'
import type { SendRequest } from './control/client.js'
import { answerRequests } from './control/exchange.js'
import type { RequestGuard } from './control/guard.js'
import { PeerProtocolError, PeerUnreachableError, type P2pError } from './errors.js'

const ChunkRequest = tuple('chunk request', ArtifactId, ChunkId)

const ABSENT = Uint8Array.of(0)
const PRESENT = Uint8Array.of(1)

/** What chunks are served from, and to whom. */
export interface TransferParts {
  readonly artifacts: ProvidedArtifacts
  /** Settles when a peer may have artifacts; rejects when it may not. */
  readonly untilAdmitted: (peerId: string) => Promise<void>
  readonly guard: RequestGuard
  readonly onFailure: (error: P2pError) => void
}

/** Serves chunks until the returned function is called. */
export function serveChunks(
  registrar: Pick<Registrar, 'handle' | 'unhandle'>,
  protocol: string,
  { artifacts, untilAdmitted, guard, onFailure }: TransferParts,
): Promise<() => Promise<void>> {
  const answer = async (peerId: string, request: Uint8Array): Promise<Uint8Array> => {
    const [artifactId, chunkId] = readRequest(peerId, request)
    await untilAdmitted(peerId)
    const found = await artifacts.chunk(artifactId, chunkId)
    return found === null ? ABSENT : Buffer.concat([PRESENT, found.bytes])
  }
  return answerRequests(registrar, protocol, answer, onFailure, guard)
}

function readRequest(peerId: string, bytes: Uint8Array): readonly [string, string] {
  try {
    return ChunkRequest.fromWireCbor(bytes)
  } catch (cause) {
    if (!(cause instanceof WireFormatError)) throw cause
    const text = `${peerId} asks for no chunk: ${cause.message}`
    throw new PeerProtocolError(text, peerId, { cause })
  }
}

/**
 * The bytes of a chunk, unchecked; null when the peer does not offer it.
 *
 * @throws PeerProtocolError when the answer is none; as `send`
 */
export async function askForChunk(
  send: SendRequest,
  peerId: string,
  artifactId: string,
  chunkId: string,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  const request = ChunkRequest.toWireCbor([artifactId, chunkId])
  const response = await send(peerId, request, { signal })
  switch (response[0]) {
    case 0:
      return null
    case 1:
      return response.subarray(1)
    case undefined:
      throw new PeerUnreachableError(`${peerId} went away before it answered`, peerId)
    default:
      throw new PeerProtocolError(`${peerId} sends no chunk`, peerId)
  }
}
