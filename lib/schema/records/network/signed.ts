/** Payloads that someone signed, and the envelope that says what they are (spec network-records#control-certificates). */

import type { Codec, Infer } from '../../codec.js'
import { record } from '../../containers.js'
import { ContentId, PeerId } from '../../ids.js'
import { text, u16 } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'
import { variants } from '../../variants.js'

/** How a signature was made. Only Ed25519 is verified. */
export const SignatureAlgorithm = variants('SignatureAlgorithm', {
  Ed25519: null,
  Secp256k1: null,
  Unknown: text,
})
export type SignatureAlgorithm = Infer<typeof SignatureAlgorithm>

/** A signature in hex, and whose it is. `key_id` says what the key is for, such as `runtime-diloco-state`. */
export const SignatureMetadata = record('SignatureMetadata', {
  signer: PeerId,
  key_id: text,
  algorithm: SignatureAlgorithm,
  signed_at: Timestamp,
  signature_hex: text,
})
export type SignatureMetadata = Infer<typeof SignatureMetadata>

/** What is signed and hashed: a payload, with the names and versions of its schema and of the protocol. */
export interface SchemaEnvelope<T> {
  /** Such as `burn_p2p.node_certificate`. */
  readonly schema: string
  readonly schema_version: number
  /** A semantic version, such as `0.1.0`. */
  readonly protocol_version: string
  readonly payload: T
}

/** The codec of a {@link SchemaEnvelope} around such a payload. */
export function schemaEnvelope<T>(payload: Codec<T>): Codec<SchemaEnvelope<T>> {
  return record(`SchemaEnvelope of ${payload.name}`, {
    schema: text,
    schema_version: u16,
    protocol_version: text,
    payload,
  })
}

/** An envelope with its signature. `payload_id` is the content id of the envelope, whose CBOR is what is signed. */
export interface SignedPayload<T> {
  readonly payload_id: ContentId
  readonly payload: SchemaEnvelope<T>
  readonly signature: SignatureMetadata
}

/** The codec of a {@link SignedPayload} around such a payload. */
export function signedPayload<T>(payload: Codec<T>): Codec<SignedPayload<T>> {
  return record(`SignedPayload of ${payload.name}`, {
    payload_id: ContentId,
    payload: schemaEnvelope(payload),
    signature: SignatureMetadata,
  })
}
