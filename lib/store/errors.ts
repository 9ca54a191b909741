/** The errors of the store (spec store#errors): one class per reason, each with a stable `code`. */

import { clip } from '../core/quoting.js'
import { CheckpointError } from '../lineage/errors.js'
import type { ArtifactId, ChunkId, ContributionReceiptId } from '../schema/index.js'

export { CheckpointError, UnknownArtifactError, UnknownHeadError } from '../lineage/errors.js'

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

/** An artifact is longer than one array of this Node.js may be; nothing is wrong with it. */
export class ArtifactTooLongError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_ARTIFACT_TOO_LONG'

  constructor(
    readonly artifactId: ArtifactId,
    /** Its length, in bytes. */
    readonly length: number,
    /** Length of the longest array, in bytes. */
    readonly longest: number,
  ) {
    super(
      `Cannot load artifact ${clip(artifactId)} of ${length} bytes into memory: an array of this Node.js has at most ` +
        `${longest} bytes; use materializeArtifactFile, or a later Node.js`,
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

/** The store has no receipt of this id. */
export class UnknownReceiptError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_UNKNOWN_RECEIPT'

  constructor(readonly receiptId: ContributionReceiptId) {
    super(`receipt not found: ${clip(receiptId)}; add it first`)
  }
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

/** The store holds another record under this id. An id means one thing, for all peers and for good. */
export class ConflictingRecordError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_CONFLICTING_RECORD'

  constructor(
    readonly path: string,
    readonly id: string,
  ) {
    super(
      `Cannot store the record of ${clip(id)}: ${JSON.stringify(path)} holds another one of this id; ` +
        'use an id of its own, or pass replace: true',
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

/** The disk has less free space than an artifact needs; nothing was written for it. */
export class InsufficientSpaceError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_NO_SPACE'

  constructor(
    /** The store's folder. */
    readonly root: string,
    /** Bytes that are not in the store yet. */
    readonly needed: number,
    /** Bytes that are free, without those that other writers have reserved. */
    readonly available: number,
  ) {
    super(
      `Cannot store ${needed} bytes in ${JSON.stringify(root)}: ${available} bytes are free; ` +
        'free disk space, or unpin artifacts and collect garbage',
    )
  }
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
