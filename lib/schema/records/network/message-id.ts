/** Ids of gossip messages: an announcement has one id, regardless of publisher and time (spec network#message-ids). */

import { compareUtf8 } from '../../../json/wire.js'
import { ConfigError } from '../../../errors.js'
import { contentId, contentIdOf } from '../../content-id.js'
import type { ContentId } from '../../ids.js'
import type { MergePolicy } from '../head.js'
import { PubsubEnvelope, PubsubPayload } from './gossip.js'
import { comparePeerRoles } from './roles.js'

/**
 * The id of a gossip message as the reference computes it; of 68 characters, which are the bytes of the id.
 * A message that cannot be read has the content id of its bytes.
 */
export function gossipMessageId(message: Uint8Array): ContentId {
  let envelope: PubsubEnvelope
  try {
    envelope = PubsubEnvelope.fromJson(message)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return contentId(message)
  }
  return payloadMessageId(envelope.payload)
}

/** The id of the message that carries this announcement. */
export function payloadMessageId(payload: PubsubPayload): ContentId {
  const fingerprint = payloadFingerprint(payload)
  if (fingerprint === undefined) return contentIdOf(PubsubPayload, payload)
  return contentId(Buffer.from(fingerprint))
}

/** What identifies an announcement of the kinds that are repeated with other times; undefined for other kinds. */
export function payloadFingerprint(payload: PubsubPayload): string | undefined {
  if ('AggregateProposal' in payload) {
    const { overlay, proposal } = payload.AggregateProposal
    const { stats } = proposal
    const last = [
      stats.late_updates,
      bits(stats.sum_sample_weight),
      bits(stats.sum_quality_weight),
      bits(stats.sum_weighted_delta_norm),
      bits(stats.max_update_norm),
    ]
    return fields(
      overlay.path,
      proposal.aggregate_id,
      ...window(proposal, false),
      proposal.tier,
      proposal.base_head_id,
      proposal.aggregate_artifact_id,
      proposal.reducer_peer_id,
      ids(proposal.contributor_peers),
      ids(proposal.child_aggregate_ids),
      stats.accepted_updates,
      stats.duplicate_updates,
      stats.dropped_updates,
      last.join(':'),
    )
  }
  if ('ReductionCertificate' in payload) {
    const { overlay, certificate } = payload.ReductionCertificate
    return fields(
      overlay.path,
      ...window(certificate, true),
      certificate.aggregate_id,
      ids(certificate.cross_checked_reducers),
    )
  }
  if ('ValidationQuorum' in payload) {
    const { overlay, certificate } = payload.ValidationQuorum
    return fields(
      overlay.path,
      ...window(certificate, true),
      certificate.aggregate_id,
      certificate.aggregate_artifact_id,
      certificate.merged_head_id,
      ids(certificate.attesting_validators),
      ids(certificate.reduction_ids),
    )
  }
  if ('TrainerPromotionAttestation' in payload) {
    const { overlay, attestation } = payload.TrainerPromotionAttestation
    return fields(
      overlay.path,
      ...window(attestation, true),
      attestation.merged_head_id,
      attestation.merged_artifact_id,
      attestation.attester_peer_id,
      ids(attestation.contribution_receipt_ids),
      bits(attestation.accepted_sample_weight),
      attestation.quality_score === null ? '0' : bits(attestation.quality_score),
    )
  }
  if ('DiffusionPromotionCertificate' in payload) {
    const { overlay, certificate } = payload.DiffusionPromotionCertificate
    return fields(
      overlay.path,
      ...window(certificate, true),
      certificate.merged_head_id,
      certificate.merged_artifact_id,
      ids(certificate.attesting_trainers),
      ids(certificate.attestation_ids),
      bits(certificate.cumulative_sample_weight),
    )
  }
  if ('Merge' in payload) {
    const { overlay, certificate } = payload.Merge
    return fields(
      overlay.path,
      certificate.study_id,
      certificate.experiment_id,
      certificate.revision_id,
      certificate.base_head_id,
      certificate.merged_head_id,
      policyName(certificate.policy),
      ids(certificate.contribution_receipts),
    )
  }
  if ('PeerDirectory' in payload) {
    const { network_id, peer_id, addresses, advertised_roles } = payload.PeerDirectory
    const roles = [...(advertised_roles?.roles ?? [])].sort(comparePeerRoles)
    return fields(network_id, peer_id, ids(addresses), roles.join())
  }
  return undefined
}

interface InWindow {
  readonly study_id: string
  readonly experiment_id: string
  readonly revision_id: string
  readonly window_id: number
  readonly base_head_id: string
}

function window(of: InWindow, withBase: boolean): (string | number)[] {
  const parts = [of.study_id, of.experiment_id, of.revision_id, of.window_id]
  return withBase ? [...parts, of.base_head_id] : parts
}

function fields(...all: readonly (string | number)[]): string {
  return all.join('|')
}

/** Ids sorted, each once. */
function ids(all: readonly string[]): string {
  return [...new Set(all)].sort(compareUtf8).join()
}

/** The 64 bits of a float as an unsigned decimal. */
function bits(value: number): string {
  const view = new DataView(new ArrayBuffer(8))
  view.setFloat64(0, value)
  return view.getBigUint64(0).toString()
}

/** A policy as Rust prints it for debugging. */
function policyName(policy: MergePolicy): string {
  return typeof policy === 'string' ? policy : `Custom(${JSON.stringify(policy.Custom)})`
}
