/** What an inspection finds. Reports are plain data: `--json` prints them as they are. */

import { TorchbedError } from '../../errors.js'
import { DTYPE_BITS, type SafetensorsHeader } from '../../safetensors/index.js'
import type {
  ArtifactDescriptor,
  ArtifactId,
  ChunkDescriptor,
  ChunkId,
  HeadDescriptor,
  HeadId,
} from '../../schema/index.js'

/** Something that is damaged or missing. */
export interface Problem {
  /** As in `TorchbedError.code`. */
  readonly code: string
  readonly message: string
  /** The artifact that it concerns, where it is one. */
  readonly artifact_id?: ArtifactId
  readonly chunk_id?: ChunkId
}

/** The tensors of a safetensors file or artifact. */
export interface TensorReport {
  readonly metadata: Readonly<Record<string, string>> | null
  readonly tensors: SafetensorsHeader['tensors']
  /** Elements of all tensors. */
  readonly parameters: number
  readonly tensorBytes: number
}

/** What became of an artifact's chunks; `present` means that only their sizes were looked at. */
export type ArtifactState = 'verified' | 'present' | 'damaged'

export interface ArtifactReport extends Omit<ArtifactDescriptor, 'chunks'> {
  readonly state: ArtifactState
  readonly chunkCount: number
  /** In a report on a manifest only. */
  readonly chunks?: readonly ChunkDescriptor[]
  /** Null when the artifact is in another format, or damaged; `tensorsNote` may say why. */
  readonly content: TensorReport | null
  readonly tensorsNote: string | null
}

export interface HeadReport extends HeadDescriptor {
  /** In the lineage of the canonical head, itself included. */
  readonly canonical: boolean
  /** Whether the store has its artifact; the artifact of a head that is not pinned may be gone. */
  readonly artifactKept: boolean
}

interface Report {
  /** Absolute. */
  readonly path: string
  /** Whether nothing is damaged or missing. */
  readonly ok: boolean
  /** Whether contents were checked, not sizes only. */
  readonly verified: boolean
  readonly problems: readonly Problem[]
}

export interface StoreReport extends Report {
  readonly kind: 'store'
  readonly canonicalHead: HeadId | null
  /** Parents before their children. */
  readonly heads: readonly HeadReport[]
  readonly artifacts: readonly ArtifactReport[]
  readonly pins: { readonly heads: readonly HeadId[]; readonly artifacts: readonly ArtifactId[] }
  readonly receiptCount: number
  readonly totals: {
    readonly artifactBytes: number
    readonly chunkFiles: number
    readonly chunkBytes: number
    /** Chunk files that no manifest names: garbage, or an artifact that is still being written. */
    readonly unreferencedChunkFiles: number
    readonly unreferencedChunkBytes: number
  }
}

export interface ManifestReport extends Report {
  readonly kind: 'manifest'
  /** Root of the store around the manifest; null when there is none, and nothing to verify against. */
  readonly store: string | null
  /** Null when the manifest cannot be read. */
  readonly artifact: ArtifactReport | null
}

export interface SafetensorsReport extends Report {
  readonly kind: 'safetensors'
  readonly bytes: number
  /** Multihash of the whole file, as an artifact's `root_hash`; null when it was not computed. */
  readonly contentId: string | null
  /** Null when the header is wrong. */
  readonly content: TensorReport | null
}

export type InspectReport = StoreReport | ManifestReport | SafetensorsReport

/** The problem that an error describes. Anything but a TorchbedError is a defect and is thrown on. */
export function problemOf(
  error: unknown,
  place: Pick<Problem, 'artifact_id' | 'chunk_id'> = {},
): Problem {
  if (!(error instanceof TorchbedError)) throw error
  return { code: error.code, message: error.message, ...place }
}

export function tensorReport({ metadata, tensors }: SafetensorsHeader): TensorReport {
  let parameters = 0
  let tensorBytes = 0
  for (const { dtype, bytes } of tensors) {
    parameters += (bytes * 8) / DTYPE_BITS[dtype]
    tensorBytes += bytes
  }
  return {
    metadata: metadata === null ? null : Object.fromEntries(metadata),
    tensors,
    parameters,
    tensorBytes,
  }
}
