/** The errors of the catalogue and of merge plans (spec store#errors): one class per reason, each with a stable `code`. */

import { clip } from '../core/quoting.js'
import { TorchbedError } from '../errors.js'
import type { ArtifactId, ContributionReceiptId, HeadId } from '../schema/index.js'

/** Base of every error of lineage and of the store but `AbortError`. */
export abstract class CheckpointError extends TorchbedError {}

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

/** Two contributions of a merge have the same receipt id and say different things. */
export class ConflictingContributionError extends CheckpointError {
  readonly code = 'ERR_CHECKPOINT_CONFLICTING_CONTRIBUTION'

  constructor(readonly receiptId: ContributionReceiptId) {
    super(
      `receipt ${clip(receiptId)} stands for two different contributions; leave both out of the merge`,
    )
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
