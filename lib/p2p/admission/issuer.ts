/**
 * The issuer of a network's certificates, kept in a folder: its key (`issuer.key`, mode 0600), the policy that peers check against
 * (`policy.json`), and how many certificates it issued.
 */

import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { ConfigError } from '../../errors.js'
import { writeFileAtomic } from '../../files/atomic-write.js'
import { makeFolder } from '../../files/make-folder.js'
import { timestamp, timestampNow, type PeerId } from '../../schema/index.js'
import {
  AdmissionPolicy,
  ExperimentScopes,
  PeerRoles,
  type ExperimentScope,
  type NodeCertificate,
  type PeerRole,
  type PubsubPayload,
} from '../../schema/records/network/index.js'
import { loadOrCreateIdentity } from '../identity.js'
import { keyOfPeerId, publicKeyHex, signingKey, type SigningKey } from './keys.js'
import { issueCertificate } from './issue.js'
import { issueRevocation } from './revoke.js'

/** What a network's certificates have in common. */
export interface NetworkTerms {
  /** The network's id. */
  readonly network: string
  /** The project family; default `torchbed`. Peers of the reference compare it. */
  readonly family?: string | undefined
  /** The release train; default `torchbed`. Peers of the reference compare it. */
  readonly releaseTrain?: string | undefined
}

/** What a peer is granted. */
export interface Grant {
  readonly peerId: PeerId
  /** Who runs it, as a name for people. Default: the peer's id. */
  readonly principal?: string | undefined
  readonly roles: readonly PeerRole[]
  /** Default: to connect and discover. */
  readonly scopes?: readonly ExperimentScope[] | undefined
  /** Days from now until it expires. Default 30. */
  readonly days?: number | undefined
  /** A revocation asks for certificates of a later epoch. Default 0. */
  readonly epoch?: number | undefined
}

/** The target that the certificates name where the network allows any. */
const ANY_TARGET = 'torchbed'

const DAY_MS = 86_400_000

/** An issuer with its key. */
export class Issuer {
  readonly policy: AdmissionPolicy
  readonly #key: SigningKey

  constructor(policy: AdmissionPolicy, key: SigningKey) {
    this.policy = policy
    this.#key = key
  }

  /**
   * A certificate for a peer, valid from now on.
   *
   * @throws ConfigError when the peer id has no Ed25519 key in it, or the days are not a number above 0
   */
  certify({ peerId, principal, roles, scopes, days = 30, epoch = 0 }: Grant): NodeCertificate {
    const key = keyOfPeerId(peerId)
    if (key === undefined) {
      const message = `${JSON.stringify(peerId)} is no peer id of an Ed25519 key, such as 12D3Koo…`
      throw new ConfigError('Cannot certify', [{ path: 'peerId', message }])
    }
    if (!(days > 0 && days <= 36_500)) {
      const message = `a certificate is for up to 36,500 days, not for ${days}`
      throw new ConfigError('Cannot certify', [{ path: 'days', message }])
    }
    const now = Date.now()
    const { policy } = this
    const claims = {
      network_id: policy.network_id,
      project_family_id: policy.project_family_id,
      release_train_hash: policy.required_release_train_hash,
      target_artifact_hash: policy.allowed_target_artifact_hashes[0] ?? ANY_TARGET,
      peer_id: peerId,
      peer_public_key_hex: publicKeyHex(key),
      principal_id: principal ?? peerId,
      provider: { Static: { authority: this.#key.peerId } },
      granted_roles: { roles: PeerRoles.fromValue([...roles]) },
      experiment_scopes: ExperimentScopes.fromValue([...(scopes ?? ['Connect', 'Discover'])]),
      client_policy_hash: null,
      auth_policy_snapshot: null,
      // The clocks of peers differ.
      not_before: timestamp(new Date(now - 300_000)),
      not_after: timestamp(new Date(now + days * DAY_MS)),
      serial: randomInt(2 ** 47),
      revocation_epoch: epoch,
    }
    return issueCertificate(claims, this.#key, timestampNow())
  }

  /** The announcement that certificates of a peer no longer hold that are of an epoch before this one. Any member announces it. */
  revoke(peerId: PeerId, reason: string, epoch = 1): PubsubPayload {
    return issueRevocation(this.policy.network_id, { peerId, epoch, reason }, this.#key)
  }
}

/**
 * Reads the issuer of a folder, or makes one there.
 *
 * @param terms of a new issuer; those of one that is there must be the same
 * @throws ConfigError when there is none and no terms are given, or it is of another network; PeerIdentityError
 */
export async function openIssuer(folder: string, terms?: NetworkTerms): Promise<Issuer> {
  const path = join(folder, 'policy.json')
  const known = await readPolicy(path)
  if (known === undefined && terms === undefined) {
    const message = `there is no issuer in ${JSON.stringify(folder)}; torchbed keys makes one`
    throw new ConfigError('Cannot issue', [{ path: 'issuer', message }])
  }
  if (known !== undefined && terms !== undefined && known.network_id !== terms.network) {
    const message = `the issuer is of the network ${JSON.stringify(known.network_id)}`
    throw new ConfigError('Cannot issue', [{ path: 'network', message }])
  }
  await makeFolder(folder)
  const { raw } = await loadOrCreateIdentity(join(folder, 'issuer.key'))
  const key = signingKey(raw)
  if (known !== undefined) return new Issuer(known, key)
  const policy: AdmissionPolicy = {
    network_id: terms?.network ?? '',
    project_family_id: terms?.family ?? 'torchbed',
    required_release_train_hash: terms?.releaseTrain ?? 'torchbed',
    allowed_target_artifact_hashes: [],
    trusted_issuers: [
      { issuer_peer_id: key.peerId, issuer_public_key_hex: publicKeyHex(key.publicKey) },
    ],
    minimum_revocation_epoch: 0,
  }
  await writeFileAtomic(path, Buffer.from(`${AdmissionPolicy.toJson(policy)}\n`))
  return new Issuer(policy, key)
}

async function readPolicy(path: string): Promise<AdmissionPolicy | undefined> {
  try {
    return AdmissionPolicy.fromJson(await readFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
