/** Records of DiLoCo rounds: cursors, packs, state, gradients (spec diloco-reference#pack-types and diloco-reference#gradient-records). */

import type { Infer } from '../codec.js'
import { list, record, skipEmpty, skipNull, tuple } from '../containers.js'
import { contentIdOf } from '../content-id.js'
import { ContentId, ExperimentId, HeadId, PeerId, RevisionId } from '../ids.js'
import { bytes, f32Array, text, u32, u64 } from '../primitives.js'
import { Timestamp } from '../timestamp.js'
import { names } from '../variants.js'
import { SignatureMetadata } from './network/signed.js'
import { GradientCodec, TrainingProtocol } from './protocol.js'

/** A model's parameters as one list; the hash of the layout says which stand where. */
export const FlattenedTensorPack = record('FlattenedTensorPack', {
  model_schema_hash: ContentId,
  layout_hash: ContentId,
  values: f32Array,
})
export type FlattenedTensorPack = Infer<typeof FlattenedTensorPack>

/** The checksum of a pack, over its values and what they are. */
export function packChecksum(pack: FlattenedTensorPack): ContentId {
  return contentIdOf(FlattenedTensorPack, pack)
}

/** State that only its owner understands, such as that of an optimizer. */
export const StateBlob = record('StateBlob', {
  content_id: ContentId,
  encoding: text,
  bytes,
})
export type StateBlob = Infer<typeof StateBlob>

const stateBlobHash = tuple('state blob hash', text, bytes)

/** The content id of a blob. */
export function stateBlobId(blob: Pick<StateBlob, 'encoding' | 'bytes'>): ContentId {
  return contentIdOf(stateBlobHash, [blob.encoding, blob.bytes])
}

/** Where in a round a peer is. */
export const RoundPhase = names(
  'RoundPhase',
  'SyncBase',
  'InnerTrain',
  'BuildPseudoGradient',
  'Matchmake',
  'Aggregate',
  'OuterApply',
  'MaybeCheckpoint',
  'Completed',
)
export type RoundPhase = Infer<typeof RoundPhase>

/** A round, what it starts from, and how far it is. There is a group once peers have found each other. */
export const RoundCursor = record('RoundCursor', {
  round_id: u64,
  group_id: skipNull(ContentId),
  base_checkpoint_id: ContentId,
  phase: RoundPhase,
  num_inner_steps: u32,
})
export type RoundCursor = Infer<typeof RoundCursor>

/** Where a peer stands. It signs this record without the signatures. */
export const DiLoCoStateSnapshot = record('DiLoCoStateSnapshot', {
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  training_protocol: TrainingProtocol,
  round_cursor: RoundCursor,
  checkpoint_head_id: skipNull(HeadId),
  latest_gradient_manifest_id: skipNull(ContentId),
  current_parameter_checksum: skipNull(ContentId),
  outer_optimizer_state: skipNull(StateBlob),
  signature_bundle: skipEmpty(list(SignatureMetadata)),
  updated_at: Timestamp,
})
export type DiLoCoStateSnapshot = Infer<typeof DiLoCoStateSnapshot>

/** A pseudo-gradient that can be fetched in chunks. `checksum` is that of the pack it decodes to. */
export const PseudoGradientManifest = record('PseudoGradientManifest', {
  manifest_id: ContentId,
  experiment_id: ExperimentId,
  revision_id: RevisionId,
  peer_id: PeerId,
  round_cursor: RoundCursor,
  codec: GradientCodec,
  model_schema_hash: ContentId,
  layout_hash: ContentId,
  parameter_count: u64,
  checksum: ContentId,
  chunk_count: u32,
  total_encoded_bytes: u64,
  signature_bundle: skipEmpty(list(SignatureMetadata)),
  created_at: Timestamp,
})
export type PseudoGradientManifest = Infer<typeof PseudoGradientManifest>

const manifestHash = tuple(
  'pseudo-gradient manifest hash',
  ExperimentId,
  RevisionId,
  PeerId,
  u64,
  ContentId,
  GradientCodec,
  ContentId,
  u64,
  ContentId,
  u32,
  u64,
)

/** The id of a manifest, from the rest of it. */
export function pseudoGradientManifestId(
  manifest: Omit<PseudoGradientManifest, 'manifest_id' | 'signature_bundle' | 'created_at'>,
): ContentId {
  return contentIdOf(manifestHash, [
    manifest.experiment_id,
    manifest.revision_id,
    manifest.peer_id,
    manifest.round_cursor.round_id,
    manifest.round_cursor.base_checkpoint_id,
    manifest.codec,
    manifest.layout_hash,
    manifest.parameter_count,
    manifest.checksum,
    manifest.chunk_count,
    manifest.total_encoded_bytes,
  ])
}

/** A piece of an encoded pseudo-gradient. */
export const PseudoGradientChunk = record('PseudoGradientChunk', {
  manifest_id: ContentId,
  chunk_index: u32,
  bytes,
  generated_at: Timestamp,
})
export type PseudoGradientChunk = Infer<typeof PseudoGradientChunk>

const groupHash = tuple('DiLoCo group hash', u64, ContentId, list(PeerId))

/** The id of a group; participants are sorted by id. */
export function diLoCoGroupId(
  round: number,
  base: ContentId,
  sortedParticipants: readonly PeerId[],
): ContentId {
  return contentIdOf(groupHash, [round, base, sortedParticipants])
}
