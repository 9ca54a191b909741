/** Certificates of nodes, and how a node presents its own (spec network-roles#with-admission). */

import type { Infer } from '../../codec.js'
import { list, map, optional, record, skipNull, tuple } from '../../containers.js'
import { ContentId, NetworkId, PeerId } from '../../ids.js'
import { text, u64 } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'
import { variants } from '../../variants.js'
import { ExperimentScopes, PeerRoleSet } from './roles.js'
import { schemaEnvelope, signedPayload } from './signed.js'

/** The schema name of a node certificate's envelope. */
export const NODE_CERTIFICATE_SCHEMA = 'burn_p2p.node_certificate'

/** Who vouched for the person or program behind a node. */
export const AuthProvider = variants('AuthProvider', {
  GitHub: null,
  Oidc: record('Oidc', { issuer: text }),
  OAuth: record('OAuth', { provider: text }),
  External: record('External', { authority: text }),
  Static: record('Static', { authority: text }),
})
export type AuthProvider = Infer<typeof AuthProvider>

/** What an issuer knew of a principal when it granted roles and scopes. */
export const AuthPolicySnapshot = record('AuthPolicySnapshot', {
  source: text,
  principal_id: text,
  provider_subject: optional(text),
  provider_login: optional(text),
  provider_email: optional(text),
  org_memberships: list(text),
  group_memberships: list(text),
  custom_claims: map(text),
  matched_policy_claims: map(text),
  granted_roles: PeerRoleSet,
  granted_scopes: ExperimentScopes,
  captured_at: Timestamp,
})
export type AuthPolicySnapshot = Infer<typeof AuthPolicySnapshot>

/** What a node certificate says. The public key is the libp2p protobuf key in hex. */
export const NodeCertificateClaims = record('NodeCertificateClaims', {
  network_id: NetworkId,
  project_family_id: text,
  release_train_hash: ContentId,
  target_artifact_hash: ContentId,
  peer_id: PeerId,
  peer_public_key_hex: text,
  principal_id: text,
  provider: AuthProvider,
  granted_roles: PeerRoleSet,
  experiment_scopes: ExperimentScopes,
  client_policy_hash: optional(ContentId),
  auth_policy_snapshot: skipNull(AuthPolicySnapshot),
  not_before: Timestamp,
  not_after: Timestamp,
  serial: u64,
  revocation_epoch: u64,
})
export type NodeCertificateClaims = Infer<typeof NodeCertificateClaims>

/** What an issuer signs. */
export const NodeCertificateEnvelope = schemaEnvelope(NodeCertificateClaims)

/** A certificate of a node. `node_cert_id` is the content id of the envelope, like `payload_id`. */
export const NodeCertificate = record('NodeCertificate', {
  node_cert_id: ContentId,
  body: signedPayload(NodeCertificateClaims),
})
export type NodeCertificate = Infer<typeof NodeCertificate>

/** A node's certificate, what it asks for, and the proof that it holds the key. */
export const PeerAuthEnvelope = record('PeerAuthEnvelope', {
  peer_id: PeerId,
  certificate: NodeCertificate,
  client_manifest_id: optional(ContentId),
  requested_scopes: ExperimentScopes,
  nonce_hash: ContentId,
  challenge_signature_hex: text,
  presented_at: Timestamp,
})
export type PeerAuthEnvelope = Infer<typeof PeerAuthEnvelope>

const challenge = tuple('challenge', PeerId, optional(ContentId), ExperimentScopes, ContentId)

/** The bytes that the peer of an envelope signs with its identity key. */
export function challengeBytes(
  envelope: Pick<
    PeerAuthEnvelope,
    'peer_id' | 'client_manifest_id' | 'requested_scopes' | 'nonce_hash'
  >,
): Uint8Array {
  const { peer_id, client_manifest_id, requested_scopes, nonce_hash } = envelope
  return challenge.toCbor([peer_id, client_manifest_id, requested_scopes, nonce_hash])
}

/** An issuer whose certificates are accepted. */
export const TrustedIssuer = record('TrustedIssuer', {
  issuer_peer_id: PeerId,
  issuer_public_key_hex: text,
})
export type TrustedIssuer = Infer<typeof TrustedIssuer>

/** Which certificates a network accepts. No allowed target means any. */
export const AdmissionPolicy = record('AdmissionPolicy', {
  network_id: NetworkId,
  project_family_id: text,
  required_release_train_hash: ContentId,
  allowed_target_artifact_hashes: list(ContentId),
  trusted_issuers: list(TrustedIssuer),
  minimum_revocation_epoch: u64,
})
export type AdmissionPolicy = Infer<typeof AdmissionPolicy>
