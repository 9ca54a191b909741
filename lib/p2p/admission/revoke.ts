/** The order that a peer's certificates no longer hold (spec network-records#control-certificates). */

import { contentIdOf, anyValue, timestampNow, type PeerId } from '../../schema/index.js'
import {
  controlOverlay,
  schemaEnvelope,
  type PubsubPayload,
} from '../../schema/records/network/index.js'
import type { SigningKey } from './keys.js'
import { signPayload } from './signatures.js'

/** What is revoked. */
export interface Revocation {
  readonly peerId: PeerId
  /** Certificates of the peer of an earlier epoch do not hold any more. */
  readonly epoch: number
  readonly reason: string
}

const ControlEnvelope = schemaEnvelope(anyValue)

/** The announcement that revokes a peer, signed by an issuer of the network; any member can make it known. */
export function issueRevocation(
  network: string,
  { peerId, epoch, reason }: Revocation,
  issuer: SigningKey,
): PubsubPayload {
  const command = {
    RevokePeer: { peer_id: peerId, minimum_revocation_epoch: epoch, reason },
  }
  const envelope = {
    schema: 'burn_p2p.control',
    schema_version: 3,
    protocol_version: '0.1.0',
    payload: { network_id: network, command },
  }
  const now = timestampNow()
  const body = signPayload(ControlEnvelope, envelope, issuer, {
    keyId: 'issuer-key',
    signedAt: now,
  })
  return {
    Control: {
      overlay: controlOverlay(network),
      certificate: {
        control_cert_id: contentIdOf(ControlEnvelope, envelope),
        network_id: network,
        activation: { activation_window: 0, grace_windows: 0 },
        required_client_capabilities: [],
        body,
      },
      announced_at: now,
    },
  }
}

/** What an order revokes; undefined when it orders something else. */
export function revocationOf(order: unknown): Revocation | undefined {
  const command = field(field(order, 'command'), 'RevokePeer')
  const peerId = field(command, 'peer_id')
  const epoch = Number(field(command, 'minimum_revocation_epoch'))
  const reason = field(command, 'reason')
  if (typeof peerId !== 'string' || !Number.isSafeInteger(epoch) || epoch < 0) return undefined
  return { peerId, epoch, reason: typeof reason === 'string' ? reason : '' }
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Readonly<Record<string, unknown>>)[name]
    : undefined
}
