/** Issues certificates, and presents one's own (spec network-roles#with-admission). */

import type { ContentId, Timestamp } from '../../schema/index.js'
import {
  challengeBytes,
  ExperimentScopes,
  NODE_CERTIFICATE_SCHEMA,
  NodeCertificateEnvelope,
  type ExperimentScope,
  type NodeCertificate,
  type NodeCertificateClaims,
  type PeerAuthEnvelope,
} from '../../schema/records/network/index.js'
import { NODE_CERTIFICATE_VERSION } from './check.js'
import type { SigningKey } from './keys.js'
import { signPayload } from './signatures.js'

/** The version of burn_p2p's protocol that certificates name. */
const PROTOCOL_VERSION = '0.1.0'

/** What the signatures of issuers are called. */
const ISSUER_KEY_ID = 'issuer-key'

/**
 * A certificate over these claims.
 *
 * @throws ConfigError when the claims do not fit their format
 */
export function issueCertificate(
  claims: NodeCertificateClaims,
  issuer: SigningKey,
  signedAt: Timestamp,
): NodeCertificate {
  const envelope = {
    schema: NODE_CERTIFICATE_SCHEMA,
    schema_version: NODE_CERTIFICATE_VERSION,
    protocol_version: PROTOCOL_VERSION,
    payload: claims,
  }
  const body = signPayload(NodeCertificateEnvelope, envelope, issuer, {
    keyId: ISSUER_KEY_ID,
    signedAt,
  })
  return { node_cert_id: body.payload_id, body }
}

/** What a peer asks for with its certificate. */
export interface Presentation {
  readonly certificate: NodeCertificate
  readonly requestedScopes: readonly ExperimentScope[]
  /** `nonceHash` of the nonce that is answered; towards the reference, of one's own. */
  readonly nonceHash: ContentId
  readonly presentedAt: Timestamp
}

/** How a peer presents its certificate, with the proof that it holds the key. */
export function presentCertificate(
  { certificate, requestedScopes, nonceHash, presentedAt }: Presentation,
  key: SigningKey,
): PeerAuthEnvelope {
  const asked = {
    peer_id: key.peerId,
    client_manifest_id: null,
    requested_scopes: ExperimentScopes.fromValue([...requestedScopes]),
    nonce_hash: nonceHash,
  }
  return {
    peer_id: asked.peer_id,
    certificate,
    client_manifest_id: asked.client_manifest_id,
    requested_scopes: asked.requested_scopes,
    nonce_hash: asked.nonce_hash,
    challenge_signature_hex: key.sign(challengeBytes(asked)),
    presented_at: presentedAt,
  }
}
