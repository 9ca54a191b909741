/** The catalogue of known artifacts and heads, in memory (spec store#catalogue). */

import {
  compareUtf8,
  type ArtifactDescriptor,
  type ArtifactId,
  type ChunkId,
  type HeadDescriptor,
  type HeadId,
  type MergePolicy,
} from '../schema/index.js'
import {
  DeltaBaseHeadMismatchError,
  DuplicateArtifactError,
  DuplicateHeadError,
  HeadArtifactMismatchError,
  MissingParentHeadError,
  UnknownArtifactError,
  UnknownHeadError,
} from './errors.js'
import { planMerge, type MergeCandidate, type MergePlan } from './merge-plan.js'

/** A head with everything it was built on. */
export interface CheckpointLineage {
  readonly target_head_id: HeadId
  /** Root first. */
  readonly heads: readonly HeadDescriptor[]
  /** The artifact of each head, in the same order. */
  readonly artifacts: readonly ArtifactDescriptor[]
  readonly policy: MergePolicy
}

/** A head that is wanted, and what is there already. */
export interface SyncRequest {
  readonly target_head_id: HeadId
  readonly local_heads: ReadonlySet<HeadId>
  readonly local_artifacts: ReadonlySet<ArtifactId>
  readonly local_chunks: ReadonlySet<ChunkId>
}

/** What has to be fetched for a head. */
export interface SyncPlan {
  readonly target_head_id: HeadId
  /** Root first. */
  readonly missing_heads: readonly HeadId[]
  /** In the order of their heads, each once. */
  readonly missing_artifacts: readonly ArtifactId[]
  /** Sorted by their UTF-8 bytes, each once. */
  readonly missing_chunks: readonly ChunkId[]
}

/** Whether nothing has to be fetched. */
export function isComplete(plan: SyncPlan): boolean {
  return (
    plan.missing_heads.length === 0 &&
    plan.missing_artifacts.length === 0 &&
    plan.missing_chunks.length === 0
  )
}

/**
 * Artifacts and heads by id. A head is only taken when its artifact and its parent are there, so that every chain
 * of parents ends at a root.
 *
 * @example
 * const catalog = new CheckpointCatalog()
 * catalog.insertArtifact(artifact)
 * catalog.insertHead(head)
 * catalog.headChain(head.head_id) // [head]
 */
export class CheckpointCatalog {
  readonly #artifacts = new Map<ArtifactId, ArtifactDescriptor>()
  readonly #heads = new Map<HeadId, HeadDescriptor>()

  /** The artifacts by id, in the order they came. */
  get artifacts(): ReadonlyMap<ArtifactId, ArtifactDescriptor> {
    return this.#artifacts
  }

  /** The heads by id, in the order they came: parents before children. */
  get heads(): ReadonlyMap<HeadId, HeadDescriptor> {
    return this.#heads
  }

  /** @throws DuplicateArtifactError */
  insertArtifact(artifact: ArtifactDescriptor): void {
    const { artifact_id } = artifact
    if (this.#artifacts.has(artifact_id)) throw new DuplicateArtifactError(artifact_id)
    this.#artifacts.set(artifact_id, artifact)
  }

  /**
   * @throws DuplicateHeadError, UnknownArtifactError; HeadArtifactMismatchError when the artifact is bound to
   *   another head; MissingParentHeadError; DeltaBaseHeadMismatchError when a delta does not start from the parent
   */
  insertHead(head: HeadDescriptor): void {
    const { head_id, artifact_id, parent_head_id } = head
    if (this.#heads.has(head_id)) throw new DuplicateHeadError(head_id)
    const artifact = this.artifact(artifact_id)
    if (artifact.head_id !== null && artifact.head_id !== head_id) {
      throw new HeadArtifactMismatchError(head_id, artifact_id, artifact.head_id)
    }
    if (parent_head_id !== null) {
      if (!this.#heads.has(parent_head_id)) throw new MissingParentHeadError(parent_head_id)
      if (artifact.kind === 'DeltaPack' && artifact.base_head_id !== parent_head_id) {
        throw new DeltaBaseHeadMismatchError(artifact_id, parent_head_id, artifact.base_head_id)
      }
    }
    this.#heads.set(head_id, head)
  }

  /** @throws UnknownArtifactError */
  artifact(id: ArtifactId): ArtifactDescriptor {
    const artifact = this.#artifacts.get(id)
    if (artifact === undefined) throw new UnknownArtifactError(id)
    return artifact
  }

  /** @throws UnknownHeadError */
  head(id: HeadId): HeadDescriptor {
    const head = this.#heads.get(id)
    if (head === undefined) throw new UnknownHeadError(id)
    return head
  }

  /**
   * The head and everything it was built on, root first.
   *
   * @throws UnknownHeadError
   */
  headChain(id: HeadId): HeadDescriptor[] {
    const chain: HeadDescriptor[] = []
    for (let next: HeadId | null = id; next !== null;) {
      const head: HeadDescriptor = this.head(next)
      chain.push(head)
      next = head.parent_head_id
    }
    return chain.reverse()
  }

  /**
   * The chain of a head with its artifacts.
   *
   * @throws UnknownHeadError
   */
  lineage(id: HeadId, policy: MergePolicy): CheckpointLineage {
    const heads = this.headChain(id)
    const artifacts = heads.map(({ artifact_id }) => this.artifact(artifact_id))
    return { target_head_id: id, heads, artifacts, policy }
  }

  /**
   * What is missing for a head and its whole chain. Chunks are listed also for artifacts that are there, because
   * a manifest may come before its chunks.
   *
   * @throws UnknownHeadError
   */
  planSync(request: SyncRequest): SyncPlan {
    const { heads, artifacts } = this.lineage(request.target_head_id, 'WeightedMean')
    const missing = <T>(ids: Iterable<T>, local: ReadonlySet<T>): T[] =>
      [...new Set(ids)].filter((id) => !local.has(id))
    const chunkIds = artifacts.flatMap(({ chunks }) => chunks.map(({ chunk_id }) => chunk_id))
    return {
      target_head_id: request.target_head_id,
      missing_heads: missing(
        heads.map(({ head_id }) => head_id),
        request.local_heads,
      ),
      missing_artifacts: missing(
        artifacts.map(({ artifact_id }) => artifact_id),
        request.local_artifacts,
      ),
      missing_chunks: missing(chunkIds, request.local_chunks).sort(compareUtf8),
    }
  }

  /**
   * Checks that contributions may be merged, and plans it.
   *
   * @throws EmptyMergeCandidateError, MixedContributionScopeError, MixedBaseHeadError,
   *   NonPositiveContributionWeightError, UnknownContributionArtifactError
   */
  planMerge(candidate: MergeCandidate): MergePlan {
    return planMerge(candidate, this.#artifacts)
  }
}
