/**
 * The key of a peer, kept in a file: libp2p's protobuf of an Ed25519 key pair (`08 01 12 40`, then 64 bytes), which peers of
 * burn_p2p can read as well (spec network-roles#persistence).
 */

import { chmod, readFile, stat } from 'node:fs/promises'

import type { Ed25519PrivateKey } from '@libp2p/interface'

import { writeFileAtomic } from '../files/atomic-write.js'
import { signingKey } from './admission/keys.js'
import { P2pError, PeerIdentityError } from './errors.js'
import { needingPackages } from './packages.js'

/** Only the owner reads and writes the key. */
const KEY_MODE = 0o600

/** Length of the file: four bytes of protobuf around the 64 of the key. */
const KEY_BYTES = 68

/**
 * Reads the key from a file, or makes a new one and writes it there. The folder must exist. A file that others may read
 * is taken back to mode 0600; on Windows the folder's permissions count.
 *
 * @throws PeerIdentityError when the file is no such key, or the system refuses it; P2pPackageMissingError
 */
export async function loadOrCreateIdentity(path: string): Promise<Ed25519PrivateKey> {
  const keys = await needingPackages(() => import('@libp2p/crypto/keys'))
  const quoted = JSON.stringify(path)
  try {
    const { mode } = await stat(path)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) await chmod(path, KEY_MODE)
    const bytes = await readFile(path)
    const key = bytes.length === KEY_BYTES ? keys.privateKeyFromProtobuf(bytes) : undefined
    if (key?.type === 'Ed25519') return key
    throw new PeerIdentityError(
      `${quoted} is not a peer's Ed25519 key; restore the file, or delete it to become a new peer`,
    )
  } catch (error) {
    if (error instanceof P2pError) throw error
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unusable(path, error)
  }
  const key = await keys.generateKeyPair('Ed25519')
  try {
    await writeFileAtomic(path, keys.privateKeyToProtobuf(key), { mode: KEY_MODE })
  } catch (error) {
    throw unusable(path, error)
  }
  return key
}

/** What the file of the key with this seed holds. @param seed 32 bytes */
export function identityFile(seed: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(8, 1, 18, 64), seed, signingKey(seed).publicKey])
}

function unusable(path: string, cause: unknown): PeerIdentityError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new PeerIdentityError(
    `Cannot keep the peer's key in ${JSON.stringify(path)}: ${reason}; check the folder and its permissions`,
    { cause },
  )
}
