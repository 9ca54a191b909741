/** The proof of a peer over a fresh nonce, asked for by a protocol of our own: the nonce, then how the peer presents itself. */

import { randomBytes } from 'node:crypto'

import type { Registrar } from '@libp2p/interface-internal'

import { WireFormatError } from '../../errors.js'
import { PeerAuthEnvelope } from '../../schema/records/network/index.js'
import { answerRequests } from '../control/exchange.js'
import type { SendRequest } from '../control/client.js'
import type { RequestGuard } from '../control/guard.js'
import { PeerProtocolError, type P2pError } from '../errors.js'
import { MAX_PROOF_BYTES, NONCE_BYTES } from '../limits.js'
import type { Admission } from './admission.js'

/**
 * Asks a peer for its proof, and checks it.
 *
 * @throws AdmissionRefusedError; PeerProtocolError; as `send`
 */
export async function askForProof(
  admission: Admission,
  peerId: string,
  send: SendRequest,
): Promise<void> {
  const nonce = randomBytes(NONCE_BYTES)
  const response = await send(peerId, nonce)
  let envelope: PeerAuthEnvelope
  try {
    envelope = PeerAuthEnvelope.fromWireCbor(response, { maxBytes: MAX_PROOF_BYTES })
  } catch (cause) {
    if (!(cause instanceof WireFormatError)) throw cause
    const text = `${peerId} sends no proof: ${cause.message}`
    throw new PeerProtocolError(text, peerId, { cause })
  }
  admission.check(envelope, peerId, nonce)
}

/** Answers nonces with the proof of this peer, until the returned function is called. */
export function giveProof(
  registrar: Pick<Registrar, 'handle' | 'unhandle'>,
  protocol: string,
  admission: Admission,
  guard: RequestGuard,
  onFailure: (error: P2pError) => void,
): Promise<() => Promise<void>> {
  const answer = (peerId: string, nonce: Uint8Array): Promise<Uint8Array> => {
    if (nonce.length === NONCE_BYTES) {
      return Promise.resolve(PeerAuthEnvelope.toWireCbor(admission.present(nonce)))
    }
    const text = `${peerId} sends a nonce of ${nonce.length} bytes, not of ${NONCE_BYTES}`
    return Promise.reject(new PeerProtocolError(text, peerId))
  }
  return answerRequests(registrar, protocol, answer, onFailure, guard)
}
