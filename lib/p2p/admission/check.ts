/**
 * Whether a peer may take part: the checks of its certificate and of its proof (spec network-roles#with-admission).
 *
 * Where the reference only lowers a reputation, what fails here refuses the peer. Beyond its checks, the key of the
 * certificate must be that of the peer id, every requested scope must be granted, ids must be those of their contents,
 * and a challenge must answer the nonce that was sent, where one was.
 */

import { contentId, timestampNanoseconds, type PeerId } from '../../schema/index.js'
import {
  challengeBytes,
  compareExperimentScopes,
  ExperimentScope,
  NODE_CERTIFICATE_SCHEMA,
  NodeCertificateEnvelope,
  type AdmissionPolicy,
  type ExperimentScope as Scope,
  type NodeCertificateClaims,
  type PeerAuthEnvelope,
} from '../../schema/records/network/index.js'
import type { ContentId, Timestamp } from '../../schema/index.js'
import { AdmissionRefusedError, type AdmissionReason } from '../errors.js'
import { isSignedBy, keyOfPeerId, publicKeyFromHex, publicKeyHex } from './keys.js'
import { payloadProblem } from './signatures.js'

/** The version of certificates that is understood. */
export const NODE_CERTIFICATE_VERSION = 3

/** What a peer is checked against. */
export interface AdmissionChecks {
  readonly policy: AdmissionPolicy
  /** The peer at the other end of the connection, whose key the transport has verified. */
  readonly transportPeer: PeerId
  readonly now: Timestamp
  /**
   * The nonce that was sent to the peer; it must answer this one. Without it an old proof is taken too, as from peers of
   * the reference, which choose their nonce themselves: then it is the transport that knows the peer.
   */
  readonly nonce?: Uint8Array | undefined
}

/** The `nonce_hash` that answers a nonce. */
export function nonceHash(nonce: Uint8Array): ContentId {
  return contentId(nonce)
}

/**
 * Checks how a peer presents itself.
 *
 * @returns the claims of its certificate
 * @throws AdmissionRefusedError with the first reason
 */
export function checkAdmission(
  envelope: PeerAuthEnvelope,
  checks: AdmissionChecks,
): NodeCertificateClaims {
  const { policy, transportPeer, now, nonce } = checks
  const refuse = (reason: AdmissionReason, message: string): never => {
    throw new AdmissionRefusedError(transportPeer, reason, message)
  }
  const { certificate } = envelope
  const { payload: schema } = certificate.body
  const claims = schema.payload

  const isCertificate =
    schema.schema === NODE_CERTIFICATE_SCHEMA && schema.schema_version === NODE_CERTIFICATE_VERSION
  if (!isCertificate) {
    refuse('schema', `it presents ${quote(schema.schema)} version ${schema.schema_version}`)
  }
  if (envelope.peer_id !== transportPeer || claims.peer_id !== transportPeer) {
    refuse('peer', `its certificate is of ${quote(claims.peer_id)}`)
  }
  if (claims.network_id !== policy.network_id) {
    refuse('network', `its certificate is for the network ${quote(claims.network_id)}`)
  }
  if (claims.project_family_id !== policy.project_family_id) {
    refuse('family', `its certificate is for the family ${quote(claims.project_family_id)}`)
  }
  if (claims.release_train_hash !== policy.required_release_train_hash) {
    refuse('release-train', `it is of the release train ${quote(claims.release_train_hash)}`)
  }
  const targets = policy.allowed_target_artifact_hashes
  if (targets.length > 0 && !targets.includes(claims.target_artifact_hash)) {
    refuse('target', `its target ${quote(claims.target_artifact_hash)} is not allowed`)
  }
  const time = timestampNanoseconds(now)
  if (time < timestampNanoseconds(claims.not_before)) {
    refuse('not-yet-valid', `its certificate is valid from ${claims.not_before} on`)
  }
  if (time > timestampNanoseconds(claims.not_after)) {
    refuse('expired', `its certificate was valid until ${claims.not_after}`)
  }
  if (claims.revocation_epoch < policy.minimum_revocation_epoch) {
    const { revocation_epoch } = claims
    refuse('revoked', `its epoch ${revocation_epoch} is below ${policy.minimum_revocation_epoch}`)
  }
  checkIssuer(envelope, policy, refuse)
  const missing = envelope.requested_scopes.filter(
    (scope) => !isGranted(scope, claims.experiment_scopes),
  )
  if (missing[0] !== undefined) {
    refuse('scope', `it asks for ${ExperimentScope.toJson(missing[0])}, which is not granted`)
  }
  checkKey(envelope, refuse)
  if (nonce !== undefined && envelope.nonce_hash !== nonceHash(nonce)) {
    refuse('nonce', 'its proof answers another nonce')
  }
  return claims
}

type Refuse = (reason: AdmissionReason, message: string) => never

function checkIssuer(
  { certificate }: PeerAuthEnvelope,
  { trusted_issuers }: AdmissionPolicy,
  refuse: Refuse,
): void {
  const { body, node_cert_id } = certificate
  const { signer } = body.signature
  const issuer = trusted_issuers.find(({ issuer_peer_id }) => issuer_peer_id === signer)
  const key = issuer && publicKeyFromHex(issuer.issuer_public_key_hex)
  if (key === undefined) return refuse('issuer', `the issuer ${quote(signer)} is not trusted`)
  const problem = payloadProblem(NodeCertificateEnvelope, body, key)
  if (problem !== undefined) refuse('certificate', `its certificate is forged: ${problem}`)
  if (node_cert_id !== body.payload_id) {
    refuse('certificate', `its certificate calls itself ${quote(node_cert_id)}`)
  }
}

function checkKey(envelope: PeerAuthEnvelope, refuse: Refuse): void {
  const { peer_public_key_hex } = envelope.certificate.body.payload.payload
  const key = keyOfPeerId(envelope.peer_id)
  if (key === undefined || peer_public_key_hex.toLowerCase() !== publicKeyHex(key)) {
    return refuse('key', 'the key in its certificate is not that of its peer id')
  }
  if (!isSignedBy(key, challengeBytes(envelope), envelope.challenge_signature_hex)) {
    refuse('proof', 'it does not prove that it holds the key')
  }
}

function isGranted(scope: Scope, granted: readonly Scope[]): boolean {
  return granted.some((other) => compareExperimentScopes(scope, other) === 0)
}

function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
