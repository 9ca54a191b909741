/** The errors of checkpoints (spec store#errors): one class per reason, each with a stable `code`. */

import { TorchbedError } from '../errors.js'
import type { ArtifactId, ChunkId, ContributionReceiptId, HeadId } from '../schema/index.js'
import { clip } from '../schema/describe.js'

/** Base of every error of this folder but `AbortError`. */
export abstract class CheckpointError extends TorchbedError {}

// --- catalogue ---------------------------------------------------------------------------------------

/** An artifact of this id is in the catalogue already. */
export class DuplicateArtifactError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_DUPLICATE_ARTIFACT'

  constructor(readonly artifactId: ArtifactId) {
    super(`artifact already exists: ${clip(artifactId)}; insert each artifact once`)
  }
}

/** A head of this id is in the catalogue already. */
export class DuplicateHeadError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_DUPLICATE_HEAD'

  constructor(readonly headId: HeadId) {
    super(`head already exists: ${clip(headId)}; insert each head once`)
  }
}

/** The catalogue, or the store, has no artifact of this id. */
export class UnknownArtifactError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_UNKNOWN_ARTIFACT'

  constructor(
    readonly artifactId: ArtifactId,
    options?: ErrorOptions,
  ) {
    super(`artifact not found: ${clip(artifactId)}; add it first`, options)
  }
}

/** The catalogue, or the store, has no head of this id. */
export class UnknownHeadError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_UNKNOWN_HEAD'

  constructor(
    readonly headId: HeadId,
    options?: ErrorOptions,
  ) {
    super(`head not found: ${clip(headId)}; add it first`, options)
  }
}

/** The store has no receipt of this id. */
export class UnknownReceiptError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_UNKNOWN_RECEIPT'

  constructor(readonly receiptId: ContributionReceiptId) {
    super(`receipt not found: ${clip(receiptId)}; add it first`)
  }
}

/** A head names a parent that is not in the catalogue. */
export class MissingParentHeadError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_MISSING_PARENT_HEAD'

  constructor(readonly headId: HeadId) {
    super(`parent head not found: ${clip(headId)}; insert heads from the root on`)
  }
}

/** A head names an artifact that is bound to another head. */
export class HeadArtifactMismatchError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_HEAD_ARTIFACT_MISMATCH'

  constructor(
    readonly headId: HeadId,
    readonly artifactId: ArtifactId,
    readonly boundHeadId: HeadId,
  ) {
    super(
      `head ${clip(headId)} references artifact ${clip(artifactId)} with incompatible head binding: ` +
        `the artifact belongs to head ${clip(boundHeadId)}`,
    )
  }
}

/** A delta artifact does not start from the parent of the head that names it. */
export class DeltaBaseHeadMismatchError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_DELTA_BASE_HEAD_MISMATCH'

  constructor(
    readonly artifactId: ArtifactId,
    readonly expectedBaseHeadId: HeadId,
    readonly foundBaseHeadId: HeadId | null,
  ) {
    super(
      `delta artifact ${clip(artifactId)} must reference base head ${clip(expectedBaseHeadId)}, ` +
        `not ${foundBaseHeadId === null ? 'none' : clip(foundBaseHeadId)}`,
    )
  }
}

/** A merge was planned without any contribution. */
export class EmptyMergeCandidateError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_EMPTY_MERGE_CANDIDATE'

  constructor() {
    super('merge candidate contains no contribution receipts; wait for at least one')
  }
}

/** A contribution names an artifact that is not in the catalogue. */
export class UnknownContributionArtifactError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_UNKNOWN_CONTRIBUTION_ARTIFACT'

  constructor(
    readonly receiptId: ContributionReceiptId,
    readonly artifactId: ArtifactId,
  ) {
    super(
      `receipt ${clip(receiptId)} points at unknown artifact ${clip(artifactId)}; insert it first`,
    )
  }
}

/** The weight of a contribution is not a finite number above zero. */
export class NonPositiveContributionWeightError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_NON_POSITIVE_CONTRIBUTION_WEIGHT'

  constructor(
    readonly receiptId: ContributionReceiptId,
    readonly weight: number,
  ) {
    super(
      `receipt ${clip(receiptId)} has non-positive accepted weight ${weight}: leave it out of the merge`,
    )
  }
}

/** A contribution, or its delta artifact, starts from another head than the merge. */
export class MixedBaseHeadError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_MIXED_BASE_HEAD'

  constructor(
    readonly receiptId: ContributionReceiptId,
    readonly expected: HeadId,
    readonly found: HeadId | null,
  ) {
    super(
      `receipt ${clip(receiptId)} targets a different base head: expected ${clip(expected)}, ` +
        `found ${found === null ? 'none' : clip(found)}; merge contributions of one base head only`,
    )
  }
}

/** A contribution belongs to another study, experiment or revision than the merge. */
export class MixedContributionScopeError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_MIXED_CONTRIBUTION_SCOPE'

  constructor(
    readonly receiptId: ContributionReceiptId,
    expected: string,
    found: string,
  ) {
    super(
      `receipt ${clip(receiptId)} uses a different study/experiment/revision tuple: ` +
        `expected ${clip(expected)}, found ${clip(found)}`,
    )
  }
}

/** The decay of an exponential moving average lies outside 0 to 1. */
export class InvalidEmaDecayError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_INVALID_EMA_DECAY'

  constructor(readonly decay: number) {
    super(`EMA decay must be in the inclusive range [0.0, 1.0], not ${decay}`)
  }
}

// --- artifacts and chunks ----------------------------------------------------------------------------

/** A chunk size is zero, not whole, too large, or too small for the artifact. */
export class InvalidChunkSizeError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_INVALID_CHUNK_SIZE'
}

/** The bytes of a chunk are more or fewer than its descriptor says. */
export class ChunkLengthMismatchError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_CHUNK_LENGTH_MISMATCH'

  constructor(
    readonly chunkId: ChunkId,
    readonly expected: number,
    readonly found: number,
  ) {
    super(
      `chunk ${clip(chunkId)} length mismatch: expected ${expected} bytes, found ${found} bytes; ` +
        'store the chunk again from an intact copy',
    )
  }
}

/** The bytes of a chunk do not have the hash that its descriptor says. */
export class ChunkHashMismatchError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_CHUNK_HASH_MISMATCH'

  constructor(
    readonly chunkId: ChunkId,
    readonly found: string,
  ) {
    super(
      `chunk ${clip(chunkId)} hash mismatch: its bytes have the hash ${found}; ` +
        'store the chunk again from an intact copy',
    )
  }
}

/** The store has no chunk of this id. */
export class UnknownChunkError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_UNKNOWN_CHUNK'

  constructor(
    readonly chunkId: ChunkId,
    options?: ErrorOptions,
  ) {
    super(
      `chunk not found: ${clip(chunkId)}; store the chunk, or the whole artifact, again`,
      options,
    )
  }
}

/** The chunks are intact one by one, but not the artifact that was announced. */
export class ArtifactRootHashMismatchError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_ARTIFACT_ROOT_HASH_MISMATCH'

  constructor(
    readonly artifactId: ArtifactId,
    readonly expected: string,
    readonly found: string,
  ) {
    super(
      `artifact ${clip(artifactId)} root hash mismatch: expected ${clip(expected)}, found ${found}; ` +
        'get the descriptor from another peer',
    )
  }
}

/** Chunks of an artifact are missing, and no source is left that has them. */
export class ChunkSourcesExhaustedError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_SOURCES_EXHAUSTED'

  constructor(
    readonly artifactId: ArtifactId,
    /** How many chunks are missing. */
    readonly missingChunks: number,
    /** Of each source, why it is not asked any more. */
    readonly reasons: readonly string[],
  ) {
    const asked = reasons.length === 0 ? 'there was no source' : reasons.join('; ')
    super(
      `artifact ${clip(artifactId)} lacks ${missingChunks} chunks that no source gives: ${asked}; ` +
        'fetch it again from other sources, what is there is kept',
    )
  }
}

/** The bytes of an artifact are more or fewer than its descriptor says. */
export class ArtifactLengthMismatchError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_ARTIFACT_LENGTH_MISMATCH'

  constructor(
    readonly artifactId: ArtifactId,
    readonly expected: number,
    readonly found: number,
  ) {
    super(
      `artifact ${clip(artifactId)} length mismatch: expected ${expected} bytes, found ${found} bytes`,
    )
  }
}

/** A descriptor contradicts itself, or goes beyond a limit; nothing was allocated or written for it. */
export class InvalidDescriptorError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_INVALID_DESCRIPTOR'

  constructor(id: ArtifactId | ChunkId, problem: string, options?: ErrorOptions) {
    super(
      `Cannot accept the descriptor of ${clip(id)}: ${problem}; get it from another peer`,
      options,
    )
  }
}

/** The bytes to store do not come as `Uint8Array`s. */
export class InvalidSourceError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_INVALID_SOURCE'
}

// --- files ---------------------------------------------------------------------------------------------

/** An id cannot name a file: it is too long, or has no UTF-8. */
export class InvalidIdError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_INVALID_ID'
}

/** A file of the store does not hold the record that its name promises. `path` says which. */
export class InvalidRecordError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_INVALID_RECORD'

  constructor(
    readonly path: string,
    readonly problem: string,
    options?: ErrorOptions,
  ) {
    super(
      `Cannot use the record in ${JSON.stringify(path)}: ${problem}; delete the file or store the record again`,
      options,
    )
  }
}

/** What to do about the commonest errors of the operating system. */
const REMEDIES: Readonly<Record<string, string>> = {
  EACCES: 'give this process access to the folder',
  EDQUOT: 'raise the quota or collect garbage',
  EFBIG: 'files of this size are not allowed here; use smaller chunks or raise the limit',
  EMFILE: 'raise the limit of open files',
  ENAMETOOLONG: 'the id is too long for a file name here; use a shorter one',
  ENOENT: 'check the path',
  ENOSPC: 'free disk space or collect garbage',
  ENOTDIR: 'a part of the path is a file; choose another folder',
  EPERM: 'give this process access to the folder',
  EROFS: 'the file system is read-only; choose another folder',
}

/** The operating system refused a read or a write. `cause` is its error. */
export class CheckpointIoError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_IO'

  constructor(action: string, cause: unknown) {
    const { code = '', message } = cause instanceof Error ? (cause as NodeJS.ErrnoException) : {}
    const remedy = Object.hasOwn(REMEDIES, code) ? `; ${REMEDIES[code] ?? ''}` : ''
    super(`i/o error: cannot ${action}: ${message ?? String(cause)}${remedy}`, { cause })
  }
}

/**
 * The thread that stores and loads large artifacts ended in the middle of a call, for want of memory for instance.
 * What was not complete is not visible. The next call starts another thread. `cause` is what it died of, if known.
 */
export class StoreThreadError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_THREAD'

  constructor(exitCode: number, options?: ErrorOptions) {
    const { cause } = options ?? {}
    const why = cause instanceof Error ? cause.message : `it left with code ${exitCode}`
    super(
      `the thread that stores and loads artifacts ended in the middle of a call: ${why}; call again`,
      options,
    )
  }
}
