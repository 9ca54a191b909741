/** Artifact descriptors: made from what was stored, checked when they come from elsewhere (spec formats#derived-ids, store#descriptors). */

import {
  artifactId,
  artifactIdAsync,
  contentId,
  isContentId,
  type ArtifactDescriptor,
  type ChunkDescriptor,
  type ContentId,
  type HeadId,
} from '../schema/index.js'
import { ConfigError } from '../errors.js'
import type { OperationOptions } from '../core/abort.js'
import { clip } from '../core/quoting.js'
import { inOnePiece, inSlices, type Steps } from '../core/steps.js'
import { TimeSlices } from '../core/time-slices.js'
import { MAX_CHUNK_BYTES, MAX_CHUNK_COUNT } from './constants.js'
import { ArtifactLengthMismatchError, InvalidDescriptorError } from './errors.js'

/** What an artifact is, besides its bytes. */
export interface ArtifactBuildSpec extends Pick<
  ArtifactDescriptor,
  'kind' | 'precision' | 'model_schema_hash' | 'record_format'
> {
  /** The head that the artifact belongs to. Default none. */
  readonly head_id?: HeadId | null | undefined
  /** The head that a delta starts from. Default none. */
  readonly base_head_id?: HeadId | null | undefined
}

/** What the bytes of an artifact give. */
export interface ArtifactContent {
  /** Number of bytes. */
  readonly bytes_len: number
  readonly chunks: readonly ChunkDescriptor[]
  /** Content id of all the bytes. */
  readonly root_hash: ContentId
}

/** The content of an artifact without a byte. */
const NO_CONTENT: ArtifactContent = {
  bytes_len: 0,
  chunks: [],
  root_hash: contentId(new Uint8Array()),
}

/**
 * Puts a descriptor together; its id follows from the rest (spec formats#derived-ids).
 *
 * @throws ConfigError when the spec does not fit the record, such as an unknown precision
 */
export function makeDescriptor(
  spec: ArtifactBuildSpec,
  content: ArtifactContent = NO_CONTENT,
): ArtifactDescriptor {
  const rest = {
    kind: spec.kind,
    head_id: spec.head_id ?? null,
    base_head_id: spec.base_head_id ?? null,
    precision: spec.precision,
    model_schema_hash: spec.model_schema_hash,
    record_format: spec.record_format,
    bytes_len: content.bytes_len,
    chunks: content.chunks,
    root_hash: content.root_hash,
  }
  return { artifact_id: artifactId(rest), ...rest }
}

/**
 * Checks everything about a descriptor that can be known without the artifact's bytes: the chunks follow one
 * another without gap or overlap and add up, sizes and counts are within limits, hashes look like hashes, and
 * the id is the one that the rest gives.
 *
 * @throws InvalidDescriptorError, ArtifactLengthMismatchError
 */
export function checkArtifactDescriptor(descriptor: ArtifactDescriptor): void {
  inOnePiece(checkContents(descriptor))
  checkId(
    descriptor,
    typed(descriptor, () => artifactId(descriptor)),
  )
}

/**
 * Like {@link checkArtifactDescriptor}, with pauses in which the event loop turns.
 *
 * @throws InvalidDescriptorError, ArtifactLengthMismatchError; AbortError when the signal fires
 */
export async function checkArtifactDescriptorAsync(
  descriptor: ArtifactDescriptor,
  options: OperationOptions = {},
): Promise<void> {
  const slices = new TimeSlices('check an artifact descriptor', options)
  await inSlices(checkContents(descriptor), slices)
  try {
    checkId(descriptor, await artifactIdAsync(descriptor, options))
  } catch (error) {
    throw asInvalid(descriptor, error)
  }
}

/** All but the id. */
function* checkContents(descriptor: ArtifactDescriptor): Steps {
  const { artifact_id, bytes_len, chunks, root_hash } = descriptor
  const refuse = (problem: string): never => {
    throw new InvalidDescriptorError(artifact_id, problem)
  }
  if (chunks.length > MAX_CHUNK_COUNT) {
    refuse(`${chunks.length} chunks exceed the limit of ${MAX_CHUNK_COUNT}`)
  }
  let end = 0
  const lengths = new Map<string, number>()
  for (const [index, chunk] of chunks.entries()) {
    const { chunk_id, offset_bytes, length_bytes } = chunk
    if (index % CHUNKS_PER_STEP === CHUNKS_PER_STEP - 1) yield
    checkChunkDescriptor(chunk)
    if (offset_bytes !== end) {
      refuse(`chunk ${index} starts at byte ${offset_bytes} instead of ${end}`)
    }
    if ((lengths.get(chunk_id) ?? length_bytes) !== length_bytes) {
      refuse(`chunk ${index} has another length than the same chunk has before`)
    }
    lengths.set(chunk_id, length_bytes)
    end += length_bytes
  }
  if (end !== bytes_len) throw new ArtifactLengthMismatchError(artifact_id, bytes_len, end)
  if (!isContentId(root_hash)) refuse(`its root hash ${clip(root_hash)} is not a content id`)
  if (chunks.length === 0 && root_hash !== NO_CONTENT.root_hash) {
    refuse('its root hash is not that of no bytes')
  }
  if (chunks.length === 1 && root_hash !== chunks[0]?.chunk_hash) {
    refuse('its root hash is not that of its only chunk')
  }
}

/** Chunks that are checked in one step: some microseconds. */
const CHUNKS_PER_STEP = 16

function checkId({ artifact_id }: ArtifactDescriptor, expected: string): void {
  if (artifact_id === expected) return
  throw new InvalidDescriptorError(artifact_id, `its contents give the id ${expected}`)
}

/**
 * Checks what one chunk's descriptor says by itself.
 *
 * @throws InvalidDescriptorError
 */
export function checkChunkDescriptor(chunk: ChunkDescriptor): void {
  const { offset_bytes, length_bytes } = chunk
  const id: string = chunk.chunk_id
  const hash: string = chunk.chunk_hash
  const refuse = (problem: string): never => {
    throw new InvalidDescriptorError(id, problem)
  }
  if (!isContentId(hash)) refuse(`its hash ${clip(hash)} is not a content id`)
  // Otherwise a peer could put its bytes into the file of another chunk.
  if (id !== hash) refuse(`its id differs from its hash ${hash}`)
  if (!Number.isSafeInteger(length_bytes) || length_bytes < 1 || length_bytes > MAX_CHUNK_BYTES) {
    refuse(`its length ${length_bytes} is not from 1 to ${MAX_CHUNK_BYTES} bytes`)
  }
  if (!Number.isSafeInteger(offset_bytes) || offset_bytes < 0) {
    refuse(`its offset ${offset_bytes} is not from 0 to 2^53 - 1`)
  }
}

function typed<T>(descriptor: ArtifactDescriptor, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw asInvalid(descriptor, error)
  }
}

/** What does not fit the record makes the descriptor invalid; other errors stay as they are. */
function asInvalid({ artifact_id }: ArtifactDescriptor, error: unknown): unknown {
  if (!(error instanceof ConfigError)) return error
  return new InvalidDescriptorError(artifact_id, error.message, { cause: error })
}
