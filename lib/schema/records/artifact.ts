/** Artifacts: model files cut into chunks (spec formats#enums, formats#derived-ids and store#descriptors). */

import type { Infer } from '../codec.js'
import { list, optional, record, tuple } from '../containers.js'
import type { OperationOptions } from '../../core/abort.js'
import { contentIdOf, contentIdOfAsync } from '../content-id.js'
import { ArtifactId, ChunkId, ContentId, HeadId } from '../ids.js'
import { text, u64 } from '../primitives.js'
import { names, variants } from '../variants.js'

/** The type of number that an artifact's weights are stored as. */
export const Precision = variants('Precision', {
  Fp32: null,
  Fp16: null,
  Bf16: null,
  Int8: null,
  Custom: text,
})
export type Precision = Infer<typeof Precision>

/** What an artifact holds. */
export const ArtifactKind = names(
  'ArtifactKind',
  'FullHead',
  'ServeHead',
  'DeltaPack',
  'BrowserDataBundle',
)
export type ArtifactKind = Infer<typeof ArtifactKind>

/** Size of an artifact's chunks, in bytes; the last chunk may be shorter. */
export const ChunkingScheme = record('ChunkingScheme', { chunk_size_bytes: u64 })
export type ChunkingScheme = Infer<typeof ChunkingScheme>

/** One chunk. `chunk_id` is the same text as `chunk_hash`. */
export const ChunkDescriptor = record('ChunkDescriptor', {
  chunk_id: ChunkId,
  offset_bytes: u64,
  length_bytes: u64,
  chunk_hash: ContentId,
})
export type ChunkDescriptor = Infer<typeof ChunkDescriptor>

/** An artifact's manifest, written pretty. `root_hash` is that of all the bytes. */
export const ArtifactDescriptor = record('ArtifactDescriptor', {
  artifact_id: ArtifactId,
  kind: ArtifactKind,
  head_id: optional(HeadId),
  base_head_id: optional(HeadId),
  precision: Precision,
  model_schema_hash: ContentId,
  record_format: text,
  bytes_len: u64,
  chunks: list(ChunkDescriptor),
  root_hash: ContentId,
})
export type ArtifactDescriptor = Infer<typeof ArtifactDescriptor>

const artifactHash = tuple(
  'ArtifactId hash',
  ArtifactKind,
  optional(HeadId),
  optional(HeadId),
  Precision,
  ContentId,
  text,
  ContentId,
  list(tuple('chunk hash', ChunkId, u64, u64, ContentId)),
)

/** The id of an artifact (spec formats#derived-ids). */
export function artifactId(descriptor: ArtifactContents): ArtifactId {
  const id: string = contentIdOf(artifactHash, hashedParts(descriptor))
  return id
}

/**
 * Like {@link artifactId}, for artifacts of very many chunks: the event loop turns meanwhile.
 *
 * @throws AbortError when the signal fires
 */
export async function artifactIdAsync(
  descriptor: ArtifactContents,
  options?: OperationOptions,
): Promise<ArtifactId> {
  const id: string = await contentIdOfAsync(artifactHash, hashedParts(descriptor), options)
  return id
}

/** What the id of an artifact follows from. */
export type ArtifactContents = Omit<ArtifactDescriptor, 'artifact_id' | 'bytes_len'>

function hashedParts(descriptor: ArtifactContents): Infer<typeof artifactHash> {
  return [
    descriptor.kind,
    descriptor.head_id,
    descriptor.base_head_id,
    descriptor.precision,
    descriptor.model_schema_hash,
    descriptor.record_format,
    descriptor.root_hash,
    descriptor.chunks.map(
      ({ chunk_id, offset_bytes, length_bytes, chunk_hash }) =>
        [chunk_id, offset_bytes, length_bytes, chunk_hash] as const,
    ),
  ]
}
