/** Answers the questions of burn_p2p's control protocol (spec network#requests, network#artifact-transfer). */

import { WireFormatError } from '../../errors.js'
import { timestampNow } from '../../schema/index.js'
import {
  ControlRequest,
  ControlResponse,
  type DiLoCoRequest,
  type DiLoCoResponse,
} from '../../schema/records/network/index.js'
import { PeerProtocolError } from '../errors.js'
import { MAX_REQUEST_BYTES } from '../limits.js'
import type { ProvidedArtifacts } from '../../swarm/provided.js'
import type { Answer } from './exchange.js'

/** Answers questions of DiLoCo rounds. */
export type DiLoCoAnswer = (peerId: string, request: DiLoCoRequest) => Promise<DiLoCoResponse>

/** What answers are made of. */
export interface ControlServerParts {
  /** The response to a peer that asks for all that is known. */
  readonly snapshotResponse: (peerId: string) => Uint8Array
  /** Settles when a peer may have artifacts; rejects when it may not. */
  readonly untilAdmitted: (peerId: string) => Promise<void>
  readonly artifacts: ProvidedArtifacts
  /** Default: this peer takes part in no round. */
  readonly diLoCo?: DiLoCoAnswer | undefined
}

/**
 * The answers of a peer, for `answerRequests`. They reject with a PeerProtocolError when the bytes are no request, so that
 * the stream is reset.
 */
export function controlAnswer(parts: ControlServerParts): Answer {
  return async (peerId, bytes) => {
    const request = readRequest(peerId, bytes)
    if (request === 'Snapshot') return parts.snapshotResponse(peerId)
    await parts.untilAdmitted(peerId)
    return ControlResponse.toWireCbor(await respond(parts, peerId, request))
  }
}

function readRequest(peerId: string, bytes: Uint8Array): ControlRequest {
  try {
    return ControlRequest.fromWireCbor(bytes, { maxBytes: MAX_REQUEST_BYTES })
  } catch (cause) {
    if (!(cause instanceof WireFormatError)) throw cause
    throw new PeerProtocolError(`${peerId} sends no request: ${cause.message}`, peerId, { cause })
  }
}

async function respond(
  { artifacts, diLoCo = takesNoPart }: ControlServerParts,
  peerId: string,
  request: Exclude<ControlRequest, 'Snapshot'>,
): Promise<ControlResponse> {
  if ('ArtifactManifest' in request) {
    return { ArtifactManifest: artifacts.descriptor(request.ArtifactManifest.artifact_id) }
  }
  if ('ArtifactChunk' in request) {
    const { artifact_id, chunk_id } = request.ArtifactChunk
    const found = await artifacts.chunk(artifact_id, chunk_id)
    return { ArtifactChunk: found && { artifact_id, ...found, generated_at: timestampNow() } }
  }
  return { DiLoCo: await diLoCo(peerId, request.DiLoCo) }
}

function takesNoPart(_peerId: string, request: DiLoCoRequest): Promise<DiLoCoResponse> {
  const message = 'this peer takes part in no round'
  if ('StateSnapshot' in request) return Promise.resolve({ StateSnapshot: null })
  if ('OuterOptimizerState' in request) return Promise.resolve({ OuterOptimizerState: null })
  if ('CurrentParameters' in request) return Promise.resolve({ CurrentParameters: null })
  if ('GradientManifest' in request) return Promise.resolve({ GradientManifest: null })
  if ('GradientChunk' in request) return Promise.resolve({ GradientChunk: null })
  return Promise.resolve({ Ack: { accepted: false, cursor: null, message } })
}
