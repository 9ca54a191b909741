/**
 * What can be said against a record without knowing its history: its time, its numbers, and whose name it bears
 * (spec network-records). Records carry no signature; only the author of a message of gossip is known for certain.
 */

import { timestampNanoseconds, type PeerId, type Timestamp } from '../schema/index.js'
import type { ControlPlaneSnapshot, PubsubPayload } from '../schema/records/network/index.js'
import { KINDS, KINDS_IN_ORDER } from '../swarm/kinds.js'
import type { Fault } from './conduct.js'
import { MAX_CLOCK_AHEAD_MS } from './limits.js'

/** Why a record is not taken. */
export interface RecordProblem {
  readonly fault: Fault
  readonly text: string
}

/**
 * The peer in whose name a record speaks; undefined where it names none. The provider of a head is where others say that its
 * artifact is, as validators of the reference do.
 */
export function namedPeer(payload: PubsubPayload): PeerId | undefined {
  if ('Lease' in payload) return payload.Lease.lease.peer_id
  if ('Update' in payload) return payload.Update.update.peer_id
  if ('Merge' in payload) return payload.Merge.certificate.promoter_peer_id
  if ('ReductionCertificate' in payload) {
    return payload.ReductionCertificate.certificate.promoter_peer_id
  }
  if ('AggregateProposal' in payload) return payload.AggregateProposal.proposal.reducer_peer_id
  if ('ValidationQuorum' in payload) return payload.ValidationQuorum.certificate.coordinator
  if ('TrainerPromotionAttestation' in payload) {
    return payload.TrainerPromotionAttestation.attestation.attester_peer_id
  }
  if ('DiffusionPromotionCertificate' in payload) {
    return payload.DiffusionPromotionCertificate.certificate.promoter_peer_id
  }
  if ('ReducerLoad' in payload) return payload.ReducerLoad.report.peer_id
  if ('Auth' in payload) return payload.Auth.peer_id
  if ('PeerDirectory' in payload) return payload.PeerDirectory.peer_id
  return undefined
}

/**
 * What is wrong with a record.
 *
 * @param author who signed the message of gossip that it came with; undefined where others passed it on
 */
export function recordProblem(
  payload: PubsubPayload,
  now: number,
  author?: PeerId,
): RecordProblem | undefined {
  const named = namedPeer(payload)
  const kind = Object.keys(payload)[0] ?? ''
  // Peers of the reference pass directories of others on by gossip of their own.
  const isRelayed = 'PeerDirectory' in payload
  if (author !== undefined && named !== undefined && named !== author && !isRelayed) {
    return { fault: 'impersonation', text: `${author} announces a ${kind} in the name of ${named}` }
  }
  const time = timeOf(payload)
  const latest = BigInt(now + MAX_CLOCK_AHEAD_MS) * 1_000_000n
  if (time !== undefined && timestampNanoseconds(time) > latest) {
    return { fault: 'future', text: `a ${kind} is of ${time}, which has not come` }
  }
  const bad = impossibleNumber(payload)
  if (bad !== undefined) return { fault: 'number', text: `a ${kind} has ${bad}` }
  return undefined
}

function timeOf(payload: PubsubPayload): Timestamp | undefined {
  if ('Update' in payload) return payload.Update.update.announced_at
  if ('ReducerLoad' in payload) return payload.ReducerLoad.report.reported_at
  if ('Metrics' in payload) return payload.Metrics.event.generated_at
  const [record] = Object.values(payload) as [{ readonly announced_at?: Timestamp }]
  return record.announced_at
}

/** Weights and norms are finite and not negative: a sum of them would be ruined by one that is not. */
function impossibleNumber(payload: PubsubPayload): string | undefined {
  const numbers: Readonly<Record<string, number>> =
    'Update' in payload
      ? {
          sample_weight: payload.Update.update.sample_weight,
          quality_weight: payload.Update.update.quality_weight,
          l2_norm: payload.Update.update.norm_stats.l2_norm,
          max_abs: payload.Update.update.norm_stats.max_abs,
        }
      : 'AggregateProposal' in payload
        ? payload.AggregateProposal.proposal.stats
        : 'TrainerPromotionAttestation' in payload
          ? {
              accepted_sample_weight:
                payload.TrainerPromotionAttestation.attestation.accepted_sample_weight,
            }
          : {}
  const found = Object.entries(numbers).find(([, value]) => !(value >= 0 && value < Infinity))
  return found && `${found[0]} ${found[1]}`
}

/** A snapshot without the records that are not taken. Certificates are asked about first: others rest on them. */
export function screenSnapshot(
  snapshot: ControlPlaneSnapshot,
  takes: (payload: PubsubPayload) => boolean,
): ControlPlaneSnapshot {
  const order = [...KINDS_IN_ORDER].sort((a, b) => Number(b === 'Auth') - Number(a === 'Auth'))
  const lists = order.map((kind) => {
    const { list } = KINDS[kind]
    const records: readonly unknown[] = snapshot[list]
    return [list, records.filter((record) => takes({ [kind]: record } as unknown as PubsubPayload))]
  })
  return Object.fromEntries(lists) as ControlPlaneSnapshot
}
