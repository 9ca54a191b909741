/** What the certificate of a peer lets it announce: roles and scopes, enforced (spec network-records#roles-and-scopes). */

import type {
  ExperimentScope,
  NodeCertificateClaims,
  PeerRole,
  PubsubPayload,
} from '../../schema/records/network/index.js'
import { namedPeer } from '../record-checks.js'

type Need = 'Train' | 'Validate' | 'Archive'

/**
 * What a record needs that these claims do not grant; undefined when nothing is missing.
 *
 * @param claims of the peer in whose name the record speaks, or of its author where it names none
 */
export function missingGrant(
  payload: PubsubPayload,
  { peer_id, granted_roles, experiment_scopes }: NodeCertificateClaims,
): string | undefined {
  const named = namedPeer(payload)
  if (named !== undefined && named !== peer_id) return `the certificate of ${named}`
  if ('PeerDirectory' in payload) {
    const roles = payload.PeerDirectory.advertised_roles?.roles ?? []
    const extra = roles.find((role) => !granted_roles.roles.includes(role))
    return extra && `the role ${extra}`
  }
  if (['Control', 'Lifecycle', 'Schedule', 'Directory'].some((kind) => kind in payload)) {
    const needed: PeerRole = 'Authority'
    return granted_roles.roles.includes(needed) ? undefined : `the role ${needed}`
  }
  const needs = scopesOf(payload)
  if (needs.length === 0) return undefined
  const experiment = experimentOf(payload)
  const isGranted = needs.some((need) =>
    experiment_scopes.some((scope) => covers(scope, need, experiment)),
  )
  return isGranted ? undefined : `the scope ${needs.join(' or ')} of ${JSON.stringify(experiment)}`
}

function scopesOf(payload: PubsubPayload): readonly Need[] {
  if ('Update' in payload || 'Lease' in payload || 'TrainerPromotionAttestation' in payload) {
    return ['Train']
  }
  if ('Merge' in payload || 'ReductionCertificate' in payload || 'ValidationQuorum' in payload) {
    return ['Validate']
  }
  if ('AggregateProposal' in payload || 'DiffusionPromotionCertificate' in payload) {
    return ['Validate', 'Train']
  }
  return 'Head' in payload ? ['Train', 'Validate', 'Archive'] : []
}

function experimentOf(payload: PubsubPayload): string {
  const [record] = Object.values(payload) as [
    { readonly overlay?: { readonly experiment_id: string | null } },
  ]
  return record.overlay?.experiment_id ?? ''
}

function covers(scope: ExperimentScope, need: Need, experiment: string): boolean {
  if (typeof scope === 'string') return false
  const [kind, of] = Object.entries(scope)[0] as [string, { readonly experiment_id?: string }]
  return kind === need && of.experiment_id === experiment
}
