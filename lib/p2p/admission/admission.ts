/**
 * Admission to a network with certificates: this peer's own presentation, the policy with what was revoked since, and the peers
 * whose certificates are verified.
 */

import { ConfigError } from '../../errors.js'
import { anyValue, timestampNanoseconds, timestampNow, type PeerId } from '../../schema/index.js'
import {
  schemaEnvelope,
  type AdmissionPolicy,
  type ControlCertificate,
  type ExperimentScope,
  type NodeCertificate,
  type NodeCertificateClaims,
  type PeerAuthEnvelope,
  type PubsubPayload,
} from '../../schema/records/network/index.js'
import { randomBytes } from 'node:crypto'
import { AdmissionRefusedError } from '../errors.js'
import { MAX_KNOWN_CERTIFICATES, NONCE_BYTES } from '../limits.js'
import { namedPeer, type RecordProblem } from '../record-checks.js'
import { missingGrant } from './authority.js'
import { checkAdmission, nonceHash } from './check.js'
import { presentCertificate } from './issue.js'
import { publicKeyFromHex, type SigningKey } from './keys.js'
import { revocationOf } from './revoke.js'
import { payloadProblem } from './signatures.js'

/** Who may take part, and the certificate with which this peer does. */
export interface AdmissionOptions {
  /** The certificates that are accepted, of peers and of this one. */
  readonly policy: AdmissionPolicy
  /** This peer's own. */
  readonly certificate: NodeCertificate
  /** What it asks for. Default: all scopes that its certificate grants. */
  readonly requestedScopes?: readonly ExperimentScope[] | undefined
}

const ControlEnvelope = schemaEnvelope(anyValue)

export class Admission {
  readonly #options: AdmissionOptions
  readonly #key: SigningKey
  readonly #verified = new Map<PeerId, PeerAuthEnvelope>()
  /** Peers whose certificates need at least this epoch. */
  readonly #revoked = new Map<PeerId, number>()
  /** Content ids of orders that were looked at. */
  readonly #orders = new Set<string>()

  /** @throws ConfigError when this peer would not be admitted itself */
  constructor(options: AdmissionOptions, key: SigningKey) {
    this.#options = options
    this.#key = key
    try {
      this.check(this.present(), key.peerId)
    } catch (error) {
      if (!(error instanceof AdmissionRefusedError)) throw error
      const message = `${error.message}; ask the issuer of the network for an invite`
      throw new ConfigError('Cannot join with this certificate', [{ path: 'admission', message }])
    }
  }

  /** How this peer presents itself. @param nonce what another peer sent; default: one of its own */
  present(nonce: Uint8Array = randomBytes(NONCE_BYTES)): PeerAuthEnvelope {
    const { certificate, requestedScopes } = this.#options
    const presentation = {
      certificate,
      requestedScopes: requestedScopes ?? certificate.body.payload.payload.experiment_scopes,
      nonceHash: nonceHash(nonce),
      presentedAt: timestampNow(),
    }
    return presentCertificate(presentation, this.#key)
  }

  /**
   * Checks how a peer presents itself, and remembers its certificate.
   *
   * @throws AdmissionRefusedError
   */
  check(envelope: PeerAuthEnvelope, peerId: PeerId, nonce?: Uint8Array): NodeCertificateClaims {
    const claims = checkAdmission(envelope, {
      ...{ policy: this.#policyFor(peerId), transportPeer: peerId, now: timestampNow(), nonce },
    })
    this.#verified.delete(peerId)
    this.#verified.set(peerId, envelope)
    if (this.#verified.size > MAX_KNOWN_CERTIFICATES) {
      this.#verified.delete(this.#verified.keys().next().value ?? '')
    }
    return claims
  }

  /** The claims of a peer whose certificate is known and still holds; undefined for others. */
  claimsOf(peerId: PeerId): NodeCertificateClaims | undefined {
    const envelope = this.#verified.get(peerId)
    if (envelope === undefined) return undefined
    const claims = envelope.certificate.body.payload.payload
    const isExpired = timestampNanoseconds(timestampNow()) > timestampNanoseconds(claims.not_after)
    const isRevoked = claims.revocation_epoch < this.#policyFor(peerId).minimum_revocation_epoch
    return isExpired || isRevoked ? undefined : claims
  }

  /**
   * Checks again a peer that was admitted: its time may have passed, or it may have been revoked.
   *
   * @throws AdmissionRefusedError
   */
  recheck(peerId: PeerId): void {
    const envelope = this.#verified.get(peerId)
    if (envelope !== undefined) this.check(envelope, peerId)
  }

  /**
   * Why a record is not taken in this network.
   *
   * @param author who signed the message that it came with; undefined where a member passed it on
   */
  recordProblem(payload: PubsubPayload, author?: PeerId): RecordProblem | undefined {
    if ('Auth' in payload) return this.#certificateProblem(payload.Auth.envelope)
    const order = orderOf(payload)
    if (order !== undefined) return this.#orderProblem(order)
    // Who passes a head on cannot be asked who said so: then its provider must be one that may have heads.
    const provider = 'Head' in payload ? payload.Head.provider_peer_id : undefined
    const peerId = namedPeer(payload) ?? author ?? provider ?? undefined
    if (peerId === undefined) return undefined
    const claims = this.claimsOf(peerId)
    const kind = Object.keys(payload)[0] ?? ''
    const missing = claims ? missingGrant(payload, claims) : `the certificate of ${peerId}`
    if (missing === undefined) return undefined
    return { fault: 'unauthorised', text: `a ${kind} of ${peerId} needs ${missing}` }
  }

  #certificateProblem(envelope: PeerAuthEnvelope): RecordProblem | undefined {
    try {
      this.check(envelope, envelope.peer_id)
      return undefined
    } catch (error) {
      if (!(error instanceof AdmissionRefusedError)) throw error
      return { fault: 'unauthorised', text: error.message }
    }
  }

  /** Orders hold when a trusted issuer signed them; one that revokes a peer takes effect at once. */
  #orderProblem({ body, network_id }: ControlCertificate): RecordProblem | undefined {
    if (this.#orders.has(body.payload_id + body.signature.signature_hex)) return undefined
    const { trusted_issuers, network_id: own } = this.#options.policy
    const issuer = trusted_issuers.find(
      ({ issuer_peer_id }) => issuer_peer_id === body.signature.signer,
    )
    const key = issuer && publicKeyFromHex(issuer.issuer_public_key_hex)
    const problem =
      network_id !== own
        ? 'is for another network'
        : key === undefined
          ? 'is not signed by an issuer of this network'
          : payloadProblem(ControlEnvelope, body, key)
    if (problem !== undefined) {
      return { fault: 'unauthorised', text: `an order to the network: ${problem}` }
    }
    if (this.#orders.size < MAX_KNOWN_CERTIFICATES) {
      this.#orders.add(body.payload_id + body.signature.signature_hex)
    }
    const revocation = revocationOf(body.payload.payload)
    if (revocation !== undefined) {
      const { peerId, epoch } = revocation
      this.#revoked.set(peerId, Math.max(epoch, this.#revoked.get(peerId) ?? 0))
    }
    return undefined
  }

  #policyFor(peerId: PeerId): AdmissionPolicy {
    const { policy } = this.#options
    const minimum = Math.max(policy.minimum_revocation_epoch, this.#revoked.get(peerId) ?? 0)
    return { ...policy, minimum_revocation_epoch: minimum }
  }
}

function orderOf(payload: PubsubPayload): ControlCertificate | undefined {
  if ('Control' in payload) return payload.Control.certificate
  if ('Lifecycle' in payload) return payload.Lifecycle.certificate
  if ('Schedule' in payload) return payload.Schedule.certificate
  return undefined
}
