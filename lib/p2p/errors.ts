/** The errors of lib/p2p: one class per reason, each with a stable `code`. */

import { TorchbedError } from '../errors.js'

/** Base of every error of lib/p2p that is not a ConfigError or an AbortError. */
export abstract class P2pError extends TorchbedError {}

/** A package of js-libp2p is not installed, or does not load; the message has the command that installs it. */
export class P2pPackageMissingError extends P2pError {
  readonly code = 'ERR_P2P_PACKAGE_MISSING'
}

/** The file that holds this peer's key cannot be read, written or understood. */
export class PeerIdentityError extends P2pError {
  readonly code = 'ERR_P2P_IDENTITY'
}

/** Base of errors that another peer caused. */
export abstract class RemotePeerError extends P2pError {
  /** The peer, as text. */
  readonly peerId: string

  constructor(message: string, peerId: string, options?: ErrorOptions) {
    super(message, options)
    this.peerId = peerId
  }
}

/** A peer cannot be reached, refuses the connection, or does not speak the protocol of this network. */
export class PeerUnreachableError extends RemotePeerError {
  readonly code = 'ERR_P2P_UNREACHABLE'
}

/** A peer did not answer in time. */
export class PeerTimeoutError extends RemotePeerError {
  readonly code = 'ERR_P2P_TIMEOUT'
}

/** What a peer sent is larger than allowed, or is not what the protocol says. */
export class PeerProtocolError extends RemotePeerError {
  readonly code = 'ERR_P2P_PROTOCOL'
}

/** A message to be sent is larger than the network allows. */
export class MessageTooLargeError extends P2pError {
  readonly code = 'ERR_P2P_MESSAGE_TOO_LARGE'
}

/** Which check a peer did not pass. */
export type AdmissionReason =
  | 'schema'
  | 'peer'
  | 'network'
  | 'family'
  | 'release-train'
  | 'target'
  | 'not-yet-valid'
  | 'expired'
  | 'revoked'
  | 'issuer'
  | 'certificate'
  | 'scope'
  | 'key'
  | 'proof'
  | 'nonce'

/** A peer may not take part: its certificate, or the proof that it holds the key, did not pass a check; `reason` says which. */
export class AdmissionRefusedError extends RemotePeerError {
  readonly code = 'ERR_P2P_ADMISSION_REFUSED'
  readonly reason: AdmissionReason

  constructor(peerId: string, reason: AdmissionReason, message: string) {
    super(`Peer ${peerId} is not admitted: ${message}`, peerId)
    this.reason = reason
  }
}
