/**
 * Ed25519 keys of peers, in the forms in which records hold them: libp2p's protobuf in hex, and the peer id, which has
 * the whole key in it (spec network-roles#with-admission).
 */

import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'

import type { PeerId } from '../../schema/index.js'

/** Length of an Ed25519 public key, and of the seed that a private one is made from, in bytes. */
export const KEY_BYTES = 32

/** What libp2p's protobuf has in front of an Ed25519 public key. */
const PROTOBUF_HEAD = '08011220'
/** What a peer id has in front of the protobuf: a multihash that is no hash, of 36 bytes. */
const IDENTITY_HEAD = '0024'
/** What DER has in front of the bare keys (RFC 8410). */
const SPKI_HEAD = Buffer.from('302a300506032b6570032100', 'hex')
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

/** A public key as records hold it: libp2p's protobuf in hex. */
export function publicKeyHex(key: Uint8Array): string {
  return PROTOBUF_HEAD + Buffer.from(key).toString('hex')
}

/** The key in libp2p's protobuf in hex; undefined when it is not an Ed25519 key. */
export function publicKeyFromHex(hex: string): Uint8Array | undefined {
  if (!/^08011220[0-9a-f]{64}$/i.test(hex)) return undefined
  return new Uint8Array(Buffer.from(hex.slice(PROTOBUF_HEAD.length), 'hex'))
}

/** The id of the peer that has this public key. */
export function peerIdOfKey(key: Uint8Array): PeerId {
  const hex = IDENTITY_HEAD + publicKeyHex(key)
  let digits = ''
  for (let rest = BigInt(`0x${hex}`); rest > 0n; rest /= 58n) {
    digits = BASE58.charAt(Number(rest % 58n)) + digits
  }
  // A leading zero byte is a digit of its own.
  return `1${digits}`
}

/** The public key in a peer id; undefined when it is no peer id of an Ed25519 key. */
export function keyOfPeerId(peerId: PeerId): Uint8Array | undefined {
  if (!/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(peerId)) return undefined
  let value = 0n
  for (const digit of peerId) value = value * 58n + BigInt(BASE58.indexOf(digit))
  const hex = value.toString(16).padStart(2 * (2 + 4 + KEY_BYTES), '0')
  const key = hex.startsWith(IDENTITY_HEAD)
    ? publicKeyFromHex(hex.slice(IDENTITY_HEAD.length))
    : undefined
  return key !== undefined && peerIdOfKey(key) === peerId ? key : undefined
}

/** A private key, ready to sign. */
export interface SigningKey {
  readonly peerId: PeerId
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /** The signature of a message, in hex. */
  sign(message: Uint8Array): string
}

/**
 * The signing key of a seed.
 *
 * @param seed 32 bytes; the 64 of libp2p's private keys, which begin with them, are taken too
 * @throws RangeError when there are fewer
 */
export function signingKey(seed: Uint8Array): SigningKey {
  if (seed.length < KEY_BYTES) {
    throw new RangeError(`a seed of an Ed25519 key has ${KEY_BYTES} bytes, not ${seed.length}`)
  }
  const der = Buffer.concat([PKCS8_HEAD, seed.subarray(0, KEY_BYTES)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  const publicKey = new Uint8Array(spki.subarray(SPKI_HEAD.length))
  return {
    peerId: peerIdOfKey(publicKey),
    publicKey,
    sign: (message) => sign(null, message, key).toString('hex'),
  }
}

/** Whether a signature in hex is that of the message by the key. Never throws, whatever a peer sent. */
export function isSignedBy(
  publicKey: Uint8Array,
  message: Uint8Array,
  signatureHex: string,
): boolean {
  if (!/^[0-9a-f]{128}$/i.test(signatureHex)) return false
  return verify(null, message, keyObject(publicKey), Buffer.from(signatureHex, 'hex'))
}

function keyObject(publicKey: Uint8Array): KeyObject {
  const der = Buffer.concat([SPKI_HEAD, publicKey])
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}
