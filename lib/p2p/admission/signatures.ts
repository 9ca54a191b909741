/**
 * Signatures of payloads and of records: over canonical CBOR, by Ed25519 keys (spec network-roles#with-admission and
 * diloco-reference#gradient-records).
 */

import { contentIdOf, type Codec, type PeerId, type Timestamp } from '../../schema/index.js'
import type {
  SchemaEnvelope,
  SignatureMetadata,
  SignedPayload,
} from '../../schema/records/network/index.js'
import { isSignedBy, keyOfPeerId, type SigningKey } from './keys.js'

/** What a signature says besides who made it. */
export interface SignatureOptions {
  /** What the key is for, such as `runtime-diloco-state`. */
  readonly keyId: string
  readonly signedAt: Timestamp
}

/** Signs an envelope. `codec` is that of the envelope. */
export function signPayload<T>(
  codec: Codec<SchemaEnvelope<T>>,
  payload: SchemaEnvelope<T>,
  key: SigningKey,
  options: SignatureOptions,
): SignedPayload<T> {
  return {
    payload_id: contentIdOf(codec, payload),
    payload,
    signature: signature(codec.toCbor(payload), key, options),
  }
}

/**
 * What is wrong with a signed payload; undefined when it has the id that it says and is signed by the key.
 *
 * @param publicKey the key of who may have signed; that `signature.signer` is its owner is for the caller to know
 */
export function payloadProblem<T>(
  codec: Codec<SchemaEnvelope<T>>,
  { payload_id, payload, signature: by }: SignedPayload<T>,
  publicKey: Uint8Array,
): string | undefined {
  if (by.algorithm !== 'Ed25519') return `its signature is of ${JSON.stringify(by.algorithm)}`
  if (contentIdOf(codec, payload) !== payload_id) return 'its id is not that of its content'
  if (!isSignedBy(publicKey, codec.toCbor(payload), by.signature_hex)) {
    return `its signature is not that of ${by.signer}`
  }
  return undefined
}

/** A record that carries signatures of itself. */
interface SignedRecord {
  readonly signature_bundle: readonly SignatureMetadata[]
}

/** The record with a signature of its own, which takes the place of any others. */
export function signRecord<T extends SignedRecord>(
  codec: Codec<T>,
  record: T,
  key: SigningKey,
  options: SignatureOptions,
): T {
  const unsigned: T = { ...record, signature_bundle: [] }
  return { ...unsigned, signature_bundle: [signature(codec.toCbor(unsigned), key, options)] }
}

/** Whether a record carries a valid signature of this peer, whose key is in its id. */
export function isRecordSignedBy<T extends SignedRecord>(
  codec: Codec<T>,
  record: T,
  peer: PeerId,
): boolean {
  const publicKey = keyOfPeerId(peer)
  if (publicKey === undefined) return false
  const own = record.signature_bundle.filter(
    ({ signer, algorithm }) => signer === peer && algorithm === 'Ed25519',
  )
  if (own.length === 0) return false
  const message = codec.toCbor({ ...record, signature_bundle: [] })
  // A hostile bundle could have thousands, and each costs as much to verify.
  return own
    .slice(0, MAX_SIGNATURES_TRIED)
    .some(({ signature_hex }) => isSignedBy(publicKey, message, signature_hex))
}

/** Signatures of one peer on one record that are tried. Honest ones have one. */
const MAX_SIGNATURES_TRIED = 4

function signature(
  message: Uint8Array,
  key: SigningKey,
  { keyId, signedAt }: SignatureOptions,
): SignatureMetadata {
  return {
    signer: key.peerId,
    key_id: keyId,
    algorithm: 'Ed25519',
    signed_at: signedAt,
    signature_hex: key.sign(message),
  }
}
