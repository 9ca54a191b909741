/**
 * An invite: one line of text with all that another machine needs to join a network with certificates. Unless it is for a peer
 * whose id was known, it has that peer's private key in it: hand it over as a password.
 */

import { randomBytes } from 'node:crypto'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { join } from 'node:path'
import { access, readFile } from 'node:fs/promises'

import { ConfigError } from '../../errors.js'
import { writeFileAtomic } from '../../files/atomic-write.js'
import { makeFolder } from '../../files/make-folder.js'
import { list, record, optional, text, type Infer, type PeerId } from '../../schema/index.js'
import { AdmissionPolicy, NodeCertificate } from '../../schema/records/network/index.js'
import { identityFile, loadOrCreateIdentity } from '../identity.js'
import { MAX_INVITE_BYTES } from '../limits.js'
import type { AdmissionOptions } from './admission.js'
import type { Grant, Issuer } from './issuer.js'
import { signingKey } from './keys.js'

const PREFIX = 'torchbed-invite:'

/** What an invite says. */
export const Invite = record('Invite', {
  /** Multiaddresses of peers to connect with. */
  join: list(text),
  policy: AdmissionPolicy,
  certificate: NodeCertificate,
  /** 32 bytes in hex: the seed of the peer's key; null when the peer has it. */
  key_seed_hex: optional(text),
})
export type Invite = Infer<typeof Invite>

/** What a peer's folder remembers of the invite with which it joined. */
const Membership = record('Membership', {
  join: list(text),
  policy: AdmissionPolicy,
  certificate: NodeCertificate,
})

/**
 * An invite to a network.
 *
 * @param grant without `peerId` the invite makes a new peer
 * @throws ConfigError as `Issuer.certify`
 */
export function createInvite(
  issuer: Issuer,
  { peerId, ...grant }: Omit<Grant, 'peerId'> & { readonly peerId?: PeerId | undefined },
  joinAddresses: readonly string[],
): string {
  const seed = peerId === undefined ? randomBytes(32) : undefined
  const id = peerId ?? (seed === undefined ? '' : signingKey(seed).peerId)
  const invite: Invite = {
    join: [...joinAddresses],
    policy: issuer.policy,
    certificate: issuer.certify({ ...grant, peerId: id }),
    key_seed_hex: seed?.toString('hex') ?? null,
  }
  return PREFIX + deflateRawSync(Invite.toJson(invite)).toString('base64url')
}

/** Whether a text is meant as an invite. */
export function isInvite(line: string): boolean {
  return line.trim().startsWith(PREFIX)
}

/** @throws ConfigError when the line is none, or a part of it is missing */
export function readInvite(line: string): Invite {
  const text = line.trim().slice(PREFIX.length)
  try {
    if (!isInvite(line) || !/^[\w-]+$/.test(text)) throw new Error('it has other characters')
    const bytes = inflateRawSync(Buffer.from(text, 'base64url'), {
      maxOutputLength: MAX_INVITE_BYTES,
    })
    return Invite.fromJson(bytes)
  } catch (cause) {
    const message = `the invite is not whole (${(cause as Error).message}); paste the line as it was printed`
    throw new ConfigError('Cannot join', [{ path: 'invite', message }], { cause })
  }
}

/**
 * Makes a folder that of the invited peer. Taking the same invite again, or a newer one of the same peer, is fine.
 *
 * @throws ConfigError when the folder belongs to another peer; PeerIdentityError
 */
export async function acceptInvite(folder: string, invite: Invite): Promise<void> {
  const stateFolder = join(folder, 'state')
  await makeFolder(stateFolder)
  const path = join(stateFolder, 'identity.key')
  const isNew = await access(path).then(
    () => false,
    () => true,
  )
  if (isNew && invite.key_seed_hex !== null) {
    await writeFileAtomic(path, identityFile(Buffer.from(invite.key_seed_hex, 'hex')), {
      mode: 0o600,
    })
  }
  const { raw } = await loadOrCreateIdentity(path)
  const own = signingKey(raw).peerId
  const invited = invite.certificate.body.payload.payload.peer_id
  if (own !== invited) {
    const message = `the invite is for ${invited}, and the folder ${JSON.stringify(folder)} belongs to ${own}; choose another folder`
    throw new ConfigError('Cannot join', [{ path: 'folder', message }])
  }
  const { join: addresses, policy, certificate } = invite
  const membership = Membership.toJson({ join: addresses, policy, certificate })
  await writeFileAtomic(membershipPath(folder), Buffer.from(`${membership}\n`))
}

/** The certificate of a folder's peer, and where it joins; undefined when it was never invited. */
export async function membershipOf(
  folder: string,
): Promise<{ readonly admission: AdmissionOptions; readonly join: readonly string[] } | undefined> {
  try {
    const { join, ...admission } = Membership.fromJson(await readFile(membershipPath(folder)))
    return { admission, join }
  } catch (error) {
    // A folder that cannot be is for those to tell who make it.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return undefined
    throw error
  }
}

function membershipPath(folder: string): string {
  return join(folder, 'state', 'membership.json')
}
