/** Requests and responses of the control protocol (spec network#requests). */

import type { Infer } from '../../codec.js'
import { optional, record, skipNull } from '../../containers.js'
import { ArtifactId, ChunkId, ContentId, ExperimentId, PeerId, RevisionId } from '../../ids.js'
import { bool, bytes, text, u16, u32 } from '../../primitives.js'
import { Timestamp } from '../../timestamp.js'
import { variants } from '../../variants.js'
import { ArtifactDescriptor, ChunkDescriptor } from '../artifact.js'
import {
  DiLoCoStateSnapshot,
  FlattenedTensorPack,
  PseudoGradientChunk,
  PseudoGradientManifest,
  RoundCursor,
  StateBlob,
} from '../diloco.js'
import { ControlPlaneSnapshot } from './announcements.js'

const ofPeer = { experiment_id: ExperimentId, revision_id: RevisionId, peer_id: PeerId }
const ofRevision = record('revision', { experiment_id: ExperimentId, revision_id: RevisionId })

/** A question of a DiLoCo round, or news of one. */
export const DiLoCoRequest = variants('DiLoCoRequest', {
  RoundOffer: record('RoundOffer', {
    ...ofPeer,
    round_cursor: RoundCursor,
    target_group_size: u16,
    issued_at: Timestamp,
  }),
  RoundHeartbeat: record('RoundHeartbeat', {
    ...ofPeer,
    round_cursor: RoundCursor,
    observed_participants: u16,
    emitted_at: Timestamp,
  }),
  RoundFinalize: record('RoundFinalize', {
    ...ofPeer,
    round_cursor: RoundCursor,
    participant_count: u16,
    aggregate_checksum: skipNull(ContentId),
    finalized_at: Timestamp,
  }),
  StateSnapshot: ofRevision,
  OuterOptimizerState: ofRevision,
  GradientManifest: record('GradientManifest', { manifest_id: ContentId }),
  CurrentParameters: ofRevision,
  GradientChunk: record('GradientChunk', { manifest_id: ContentId, chunk_index: u32 }),
})
export type DiLoCoRequest = Infer<typeof DiLoCoRequest>

/** The answer to a {@link DiLoCoRequest}; `null` where the peer does not have it. */
export const DiLoCoResponse = variants('DiLoCoResponse', {
  Ack: record('Ack', { accepted: bool, cursor: skipNull(RoundCursor), message: text }),
  StateSnapshot: optional(DiLoCoStateSnapshot),
  OuterOptimizerState: optional(StateBlob),
  CurrentParameters: optional(FlattenedTensorPack),
  GradientManifest: optional(PseudoGradientManifest),
  GradientChunk: optional(PseudoGradientChunk),
  Unavailable: record('Unavailable', { message: text }),
})
export type DiLoCoResponse = Infer<typeof DiLoCoResponse>

/** A chunk with its bytes, as a peer answers. Check it against the descriptor that was asked for. */
export const ArtifactChunkPayload = record('ArtifactChunkPayload', {
  artifact_id: ArtifactId,
  chunk: ChunkDescriptor,
  bytes,
  generated_at: Timestamp,
})
export type ArtifactChunkPayload = Infer<typeof ArtifactChunkPayload>

/** What a peer asks another; at most 1 MiB. */
export const ControlRequest = variants('ControlRequest', {
  Snapshot: null,
  ArtifactManifest: record('ArtifactManifest', { artifact_id: ArtifactId }),
  ArtifactChunk: record('ArtifactChunk', { artifact_id: ArtifactId, chunk_id: ChunkId }),
  DiLoCo: DiLoCoRequest,
})
export type ControlRequest = Infer<typeof ControlRequest>

/** The answer to a {@link ControlRequest}, at most 10 MiB; `null` where the peer does not have it. */
export const ControlResponse = variants('ControlResponse', {
  Snapshot: ControlPlaneSnapshot,
  ArtifactManifest: optional(ArtifactDescriptor),
  ArtifactChunk: optional(ArtifactChunkPayload),
  DiLoCo: DiLoCoResponse,
})
export type ControlResponse = Infer<typeof ControlResponse>
