/** The errors of lib/p2p: one class per reason, each with a stable `code`. */

import { TorchbedError } from '../errors.js'
import type { Ban, Fault } from './conduct.js'

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

/** What a peer sent is larger than allowed, or is not what the protocol says; `fault` says of which kind it is. */
export class PeerProtocolError extends RemotePeerError {
  readonly code = 'ERR_P2P_PROTOCOL'
  readonly fault: Fault

  /** @param options `fault`: default `malformed` */
  constructor(
    message: string,
    peerId: string,
    { fault = 'malformed', ...options }: ErrorOptions & { readonly fault?: Fault } = {},
  ) {
    super(message, peerId, options)
    this.fault = fault
  }
}

/** A peer is kept away for what it did; `ban` has the reason and the end. */
export class PeerBannedError extends RemotePeerError {
  readonly code = 'ERR_P2P_BANNED'
  readonly ban: Ban

  constructor(peerId: string, ban: Ban) {
    const until = new Date(ban.until).toISOString()
    super(`Peer ${peerId} is kept away until ${until}: ${ban.reason}`, peerId)
    this.ban = ban
  }
}

/** A message to be sent is larger than the network allows. */
export class MessageTooLargeError extends P2pError {
  readonly code = 'ERR_P2P_MESSAGE_TOO_LARGE'
}

/** Which check a peer did not pass. */
export type AdmissionReason =
  | 'missing'
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

/** As which fault an error counts against the peer that caused it; undefined when it is none of its own. */
export function faultOf(error: P2pError): Fault | undefined {
  if (error instanceof PeerProtocolError) return error.fault
  if (error instanceof AdmissionRefusedError) return 'not-admitted'
  if (error instanceof PeerTimeoutError) return 'slow'
  if (error instanceof PeerUnreachableError) return 'unreachable'
  return undefined
}
