/** Checks one artifact of a store: its chunks, its root hash, and the tensors in it. */

import { createHash } from 'node:crypto'
import {
  ArtifactRootHashMismatchError,
  checkChunkDescriptor,
  ChunkLengthMismatchError,
  UnknownChunkError,
  type FsArtifactStore,
} from '../../store/index.js'
import { fileSize, withIo } from '../../store/files.js'
import {
  parseSafetensorsHeaderAsync,
  SafetensorsError,
  safetensorsHeaderEnd,
  type SafetensorsHeader,
} from '../../safetensors/index.js'
import {
  contentIdFromDigest,
  type ArtifactDescriptor,
  type ChunkDescriptor,
  type ChunkId,
} from '../../schema/index.js'
import { problemOf, tensorReport, type ArtifactReport, type Problem } from './report.js'

/** How thoroughly to look. */
export interface VerifyOptions {
  /** Read everything and check all hashes; else look at the sizes of files only. */
  readonly verify: boolean
  /** Called with numbers of bytes as they are verified. */
  readonly onVerified: (bytes: number) => void
}

export interface CheckedArtifact {
  readonly report: ArtifactReport
  readonly problems: readonly Problem[]
}

/** @param earlier problems with the manifest itself */
export async function checkArtifact(
  store: FsArtifactStore,
  descriptor: ArtifactDescriptor,
  options: VerifyOptions,
  earlier: readonly Problem[] = [],
): Promise<CheckedArtifact> {
  const problems = [...earlier, ...(await checkChunks(store, descriptor, options))]
  const { chunks, ...rest } = descriptor
  const state = problems.length > 0 ? ('damaged' as const) : options.verify ? 'verified' : 'present'
  const content = await readTensors(store, descriptor)
  return { report: { ...rest, state, chunkCount: chunks.length, ...content }, problems }
}

async function checkChunks(
  store: FsArtifactStore,
  descriptor: ArtifactDescriptor,
  { verify, onVerified }: VerifyOptions,
): Promise<Problem[]> {
  const { artifact_id, root_hash } = descriptor
  const problems = new Map<ChunkId, Problem>()
  const hash = createHash('sha256')
  for (const chunk of descriptor.chunks) {
    try {
      if (verify) hash.update(await store.loadChunkBytes(chunk))
      else await requireSize(store, chunk)
    } catch (error) {
      const { chunk_id } = chunk
      problems.set(chunk_id, problemOf(error, { artifact_id, chunk_id }))
    }
    onVerified(chunk.length_bytes)
  }
  const found = contentIdFromDigest(hash.digest())
  if (verify && problems.size === 0 && found !== root_hash) {
    const error = new ArtifactRootHashMismatchError(artifact_id, root_hash, found)
    return [problemOf(error, { artifact_id })]
  }
  return [...problems.values()]
}

async function requireSize(store: FsArtifactStore, chunk: ChunkDescriptor): Promise<void> {
  checkChunkDescriptor(chunk)
  const { chunk_id, length_bytes } = chunk
  const size = await withIo(`look for chunk ${chunk_id}`, () => fileSize(store.chunkPath(chunk_id)))
  if (size === undefined) throw new UnknownChunkError(chunk_id)
  if (size !== length_bytes) throw new ChunkLengthMismatchError(chunk_id, length_bytes, size)
}

/** The tensors of an artifact that says it is in the safetensors format. */
async function readTensors(
  store: FsArtifactStore,
  descriptor: ArtifactDescriptor,
): Promise<Pick<ArtifactReport, 'content' | 'tensorsNote'>> {
  if (!descriptor.record_format.includes('safetensors')) {
    return { content: null, tensorsNote: null }
  }
  try {
    return { content: tensorReport(await readHeader(store, descriptor)), tensorsNote: null }
  } catch (error) {
    const { message } = problemOf(error)
    // Not damage: a workload may write what it likes, and the name of the format is a default.
    const isOther = error instanceof SafetensorsError
    return { content: null, tensorsNote: isOther ? `not a safetensors file: ${message}` : message }
  }
}

/** Loads the first chunks, no more than the header needs. */
async function readHeader(
  store: FsArtifactStore,
  { bytes_len, chunks }: ArtifactDescriptor,
): Promise<SafetensorsHeader> {
  const pieces: Uint8Array[] = []
  let loaded = 0
  let end: number | undefined
  for (const chunk of chunks) {
    pieces.push(await store.loadChunkBytes(chunk))
    loaded += chunk.length_bytes
    if (end === undefined && loaded >= 8) {
      end = safetensorsHeaderEnd(Buffer.concat(pieces), bytes_len)
    }
    if (end !== undefined && loaded >= end) break
  }
  return parseSafetensorsHeaderAsync(Buffer.concat(pieces), bytes_len)
}
