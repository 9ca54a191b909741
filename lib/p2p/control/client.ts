/** Asks peers over burn_p2p's control protocol, and believes no answer that does not fit the question (spec network#requests, network#artifact-transfer). */

import { WireFormatError } from '../../errors.js'
import type { ArtifactDescriptor, ChunkDescriptor } from '../../schema/index.js'
import {
  ControlRequest,
  ControlResponse,
  type ControlPlaneSnapshot,
  type DiLoCoRequest,
  type DiLoCoResponse,
} from '../../schema/records/network/index.js'
import {
  CheckpointError,
  checkArtifactDescriptor,
  InvalidDescriptorError,
} from '../../store/index.js'
import { PeerProtocolError, PeerUnreachableError } from '../errors.js'
import { MAX_SNAPSHOT_RECORDS } from '../limits.js'
import type { RequestOptions } from './exchange.js'

/** Sends bytes to a peer, and answers with the bytes that come back. */
export type SendRequest = (
  peerId: string,
  request: Uint8Array,
  options?: RequestOptions,
) => Promise<Uint8Array>

/**
 * The questions of the protocol. All throw PeerUnreachableError, PeerTimeoutError, or AbortError; PeerProtocolError when the
 * answer is not one.
 */
export class ControlClient {
  readonly #send: SendRequest

  constructor(send: SendRequest) {
    this.#send = send
  }

  /** The bytes of all that a peer knows, which `readSnapshot` reads. Peers that know nothing new send the same ones. */
  snapshotResponse(peerId: string, options?: RequestOptions): Promise<Uint8Array> {
    return this.#send(peerId, ControlRequest.toWireCbor('Snapshot'), options)
  }

  /** All that a peer knows. */
  async snapshot(peerId: string, options?: RequestOptions): Promise<ControlPlaneSnapshot> {
    return readSnapshot(peerId, await this.snapshotResponse(peerId, options))
  }

  /** The descriptor of an artifact, checked, and of no other; null when the peer does not offer it. */
  async manifest(
    peerId: string,
    artifactId: string,
    options?: RequestOptions,
  ): Promise<ArtifactDescriptor | null> {
    const request = { ArtifactManifest: { artifact_id: artifactId } }
    const response = await this.#ask(peerId, request, options)
    if (!('ArtifactManifest' in response)) throw otherAnswer(peerId)
    const descriptor = response.ArtifactManifest
    if (descriptor === null) return null
    if (descriptor.artifact_id !== artifactId) {
      throw new PeerProtocolError(
        `${peerId} sends the descriptor of another artifact than ${artifactId}`,
        peerId,
        { fault: 'false-descriptor' },
      )
    }
    try {
      checkArtifactDescriptor(descriptor)
    } catch (cause) {
      if (!(cause instanceof CheckpointError)) throw cause
      throw new PeerProtocolError(`${peerId} sends a false descriptor: ${cause.message}`, peerId, {
        cause,
        fault: 'false-descriptor',
      })
    }
    return descriptor
  }

  /**
   * The bytes of a chunk, unchecked but for their names; null when the peer does not offer the artifact.
   *
   * @throws InvalidDescriptorError when the answer is another chunk, or of another artifact
   */
  async chunk(
    peerId: string,
    { artifact_id }: ArtifactDescriptor,
    { chunk_id }: ChunkDescriptor,
    options?: RequestOptions,
  ): Promise<Uint8Array | null> {
    const response = await this.#ask(peerId, { ArtifactChunk: { artifact_id, chunk_id } }, options)
    if (!('ArtifactChunk' in response)) throw otherAnswer(peerId)
    const payload = response.ArtifactChunk
    if (payload === null) return null
    if (payload.artifact_id !== artifact_id || payload.chunk.chunk_id !== chunk_id) {
      throw new InvalidDescriptorError(chunk_id, `${peerId} sends another chunk in its place`)
    }
    return payload.bytes
  }

  /** The answer to a question of a DiLoCo round. */
  async diLoCo(
    peerId: string,
    request: DiLoCoRequest,
    options?: RequestOptions,
  ): Promise<DiLoCoResponse> {
    const response = await this.#ask(peerId, { DiLoCo: request }, options)
    if (!('DiLoCo' in response)) throw otherAnswer(peerId)
    return response.DiLoCo
  }

  async #ask(
    peerId: string,
    request: ControlRequest,
    options?: RequestOptions,
  ): Promise<ControlResponse> {
    const bytes = await this.#send(peerId, ControlRequest.toWireCbor(request), options)
    return readResponse(peerId, bytes)
  }
}

/**
 * Reads the bytes of a snapshot.
 *
 * @throws PeerProtocolError when they are none
 */
export function readSnapshot(peerId: string, response: Uint8Array): ControlPlaneSnapshot {
  const read = readResponse(peerId, response)
  if (!('Snapshot' in read)) throw otherAnswer(peerId)
  for (const [list, records] of Object.entries(read.Snapshot)) {
    if (records.length <= MAX_SNAPSHOT_RECORDS) continue
    const text = `${peerId} sends ${records.length} ${list}; peers keep fewer than ${MAX_SNAPSHOT_RECORDS}`
    throw new PeerProtocolError(text, peerId, { fault: 'oversize' })
  }
  return read.Snapshot
}

function readResponse(peerId: string, bytes: Uint8Array): ControlResponse {
  if (bytes.length === 0) {
    throw new PeerUnreachableError(`${peerId} went away before it answered`, peerId)
  }
  try {
    return ControlResponse.fromWireCbor(bytes)
  } catch (cause) {
    if (!(cause instanceof WireFormatError)) throw cause
    throw new PeerProtocolError(`${peerId} sends no response: ${cause.message}`, peerId, { cause })
  }
}

function otherAnswer(peerId: string): PeerProtocolError {
  return new PeerProtocolError(`${peerId} answers another question than was asked`, peerId)
}
