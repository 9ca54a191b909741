/**
 * A peer that merges contributions, evaluates the result and promotes it (spec project#training-loop). A role over a swarm:
 * the same in one process and over a network.
 */

import { throwIfAborted } from '../core/abort.js'
import { CheckpointCatalog } from '../lineage/index.js'
import type { FsArtifactStore } from '../store/index.js'
import type { Swarm } from '../swarm/index.js'
import { EvaluationRefusedError, HookMissingError } from '../errors.js'
import type { ModelHandle } from '../project/model-handle.js'
import type { TorchProject } from '../project/torch-project.js'
import type { ModelCandidate } from '../project/model-candidate.js'
import type { CallOptions } from '../runtime/python-runtime.js'
import {
  type ArtifactDescriptor,
  type ContributionReceiptId,
  type HeadDescriptor,
  type HeadId,
  type Metrics,
  type PeerId,
} from '../schema/index.js'
import { writeCanonicalHead } from '../store/canonical-head.js'
import {
  announcedUpdates,
  headAnnouncement,
  mergeAnnouncement,
  receiptOf,
} from './announcements.js'
import { ensureArtifact } from './artifacts.js'
import type { Candidate } from './candidate.js'
import { genesisHeadId, mergedHeadId, type Experiment } from './experiment.js'
import { boundWeights, judge, type Dropped } from './screening.js'

/** What a validator works with. */
export interface ValidatorParts {
  readonly project: TorchProject
  readonly experiment: Experiment
  /** The validator's peer, and the store of the canonical heads. */
  readonly swarm: Swarm
}

/** What a validator found of a window. */
export interface Collected {
  /** By peer id. */
  readonly contributions: readonly Candidate[]
  /** The peers whose artifacts could not be had. */
  readonly left: readonly { readonly peer_id: PeerId; readonly error: unknown }[]
}

/** A head that has become the canonical one. */
export interface Promotion {
  readonly head: HeadDescriptor
  readonly artifact: ArtifactDescriptor
  /** What became of the candidates: a merge, or the best one alone when the workload declined. */
  readonly from: 'genesis' | 'merge' | 'best candidate'
}

/** Merges the contributions of a window, evaluates the candidates and promotes the best. */
export class Validator {
  readonly #project: TorchProject
  readonly #experiment: Experiment
  readonly #swarm: Swarm
  readonly #store: FsArtifactStore
  /** Ends the offer of the canonical artifact. */
  #withdraw: () => void = () => undefined

  constructor(parts: ValidatorParts) {
    this.#project = parts.project
    this.#experiment = parts.experiment
    this.#swarm = parts.swarm
    this.#store = parts.swarm.store
  }

  /** Makes the first head of the experiment, of a new model, named after a peer. */
  async genesis(peer: PeerId, options: CallOptions = {}): Promise<Promotion> {
    await using model = await this.#project.initModel(this.#project.runtimeDevice, options)
    const head_id = genesisHeadId(this.#experiment, peer)
    const made = await this.#promote(model, { head_id, parent: null, from: 'genesis' }, options)
    await this.#announce(made.head, made.artifact, [])
    return made
  }

  /** Offers and announces a head that its store had as the canonical one when the validator came. */
  async resume(canonical: HeadDescriptor): Promise<void> {
    await this.#announce(canonical, await this.#store.loadManifest(canonical.artifact_id), [])
  }

  /**
   * What trainers have announced for a window over the canonical head, with the artifacts fetched. A peer whose artifact
   * cannot be had is left out, with its error.
   *
   * @throws AbortError
   */
  async collect(
    window: number,
    canonical: HeadDescriptor,
    options: CallOptions = {},
  ): Promise<Collected> {
    const contributions: Candidate[] = []
    const left: { peer_id: PeerId; error: unknown }[] = []
    const known = this.#swarm.announcements
    for (const announced of announcedUpdates(known, this.#experiment, window, canonical)) {
      const { update, head, providers } = announced
      try {
        await ensureArtifact(this.#swarm, update.delta_artifact_id, providers, options)
        contributions.push({
          peer_id: update.peer_id,
          head,
          artifact: await this.#store.loadManifest(update.delta_artifact_id),
          receipt: receiptOf(this.#experiment, announced),
          quality_weight: update.quality_weight,
        })
      } catch (error) {
        throwIfAborted(options.signal, 'collect contributions')
        left.push({ peer_id: update.peer_id, error })
      }
    }
    return { contributions, left }
  }

  /**
   * Loads and evaluates each contribution, and leaves out those that do not fit the model, are not finite, or are worse than
   * the canonical head by more than the tolerance. What is left has the quality that was measured, and no weight far above
   * the median.
   *
   * @throws AbortError
   */
  async screen(
    canonical: HeadDescriptor,
    contributions: readonly Candidate[],
    options: CallOptions & { readonly tolerance?: number } = {},
  ): Promise<{ readonly kept: Candidate[]; readonly dropped: Dropped[] }> {
    const kept: Candidate[] = []
    const dropped: Dropped[] = []
    for (const candidate of contributions) {
      const verdict = await this.#judge(canonical, candidate, options)
      if ('reason' in verdict) dropped.push(verdict)
      else kept.push(verdict)
    }
    return { kept: boundWeights(kept), dropped }
  }

  async #judge(
    canonical: HeadDescriptor,
    candidate: Candidate,
    { tolerance, ...options }: CallOptions & { readonly tolerance?: number },
  ): Promise<Candidate | Dropped> {
    let model: ModelHandle
    try {
      model = await this.#load(candidate.artifact, options)
    } catch (error) {
      throwIfAborted(options.signal, 'screen contributions')
      const message = error instanceof Error ? error.message : String(error)
      return { peer_id: candidate.peer_id, reason: 'unfit', message }
    }
    try {
      const split = this.#experiment.evaluation_split
      const { metrics } = await this.#project.evaluate(model, split, options)
      return judge(candidate, metrics, canonical, tolerance)
    } finally {
      await model.release()
    }
  }

  /** Offers the canonical artifact no longer. */
  close(): void {
    this.#withdraw()
  }

  /**
   * Merges the contributions over the canonical head, applies the root EMA, evaluates and promotes.
   * When the workload declines to merge, or has no hook for it and one peer trains alone, the contribution of
   * the highest quality is promoted as it is.
   *
   * Throws what the workload or the store throws, and {@link EvaluationRefusedError} when the
   * evaluation's loss or accuracy is not finite; the canonical head then stays what it was.
   */
  async promote(
    window: number,
    canonical: HeadDescriptor,
    contributions: readonly Candidate[],
    options: CallOptions = {},
  ): Promise<Promotion> {
    const ordered = this.#inMergeOrder(canonical, contributions)
    const models = new Map<PeerId, ModelHandle>()
    try {
      const candidates: ModelCandidate[] = []
      for (const contribution of ordered) {
        const model = await this.#load(contribution.artifact, options)
        models.set(contribution.peer_id, model)
        candidates.push({
          peer_id: contribution.peer_id,
          head_id: contribution.head.head_id,
          artifact_id: contribution.artifact.artifact_id,
          model,
          sample_weight: contribution.receipt.accepted_weight,
          quality_weight: contribution.quality_weight,
        })
      }
      const head_id = mergedHeadId(this.#experiment, window)
      await using merged = await this.#merge(canonical, candidates, options)
      const best = candidates.reduce((a, b) => (b.quality_weight > a.quality_weight ? b : a))
      const from = merged === null ? 'best candidate' : 'merge'
      const model = merged ?? best.model
      const promotion = await this.#promote(model, { head_id, parent: canonical, from }, options)
      const receipts = ordered.map(({ receipt }) => receipt.receipt_id)
      await this.#announce(promotion.head, promotion.artifact, receipts)
      return promotion
    } finally {
      for (const model of models.values()) await model.release()
    }
  }

  /** The contributions by receipt id, checked to be of one scope and one base (spec store#catalogue). */
  #inMergeOrder(canonical: HeadDescriptor, contributions: readonly Candidate[]): Candidate[] {
    const catalog = new CheckpointCatalog()
    for (const { artifact } of contributions) catalog.insertArtifact(artifact)
    const { study_id, experiment_id, revision_id, merge_policy } = this.#experiment
    const plan = catalog.planMerge({
      study_id,
      experiment_id,
      revision_id,
      base_head_id: canonical.head_id,
      policy: merge_policy,
      contributions: contributions.map(({ receipt }) => receipt),
    })
    const byReceipt = new Map(contributions.map((item) => [item.receipt.receipt_id, item]))
    return plan.contribution_receipt_ids.flatMap((id) => byReceipt.get(id) ?? [])
  }

  async #merge(
    canonical: HeadDescriptor,
    candidates: readonly ModelCandidate[],
    options: CallOptions,
  ): Promise<ModelHandle | null> {
    const policy = this.#experiment.merge_policy
    const artifact = await this.#store.loadManifest(canonical.artifact_id)
    await using base = await this.#load(artifact, options)
    let merged: ModelHandle | null
    try {
      merged = await this.#project.mergeCandidateModels(base, candidates, policy, options)
    } catch (error) {
      // One peer alone needs no merging, so that a workload without the hook can train too.
      if (!(error instanceof HookMissingError && candidates.length === 1)) throw error
      return null
    }
    if (merged === null) return null
    try {
      return await this.#project.applySingleRootEma(base, merged, policy, options)
    } catch (error) {
      await merged.release()
      throw error
    }
  }

  async #load(artifact: ArtifactDescriptor, options: CallOptions): Promise<ModelHandle> {
    const model = await this.#project.initModel(this.#project.runtimeDevice, options)
    try {
      return await this.#project.loadModelArtifact(model, artifact, this.#store, options)
    } catch (error) {
      await model.release()
      throw error
    }
  }

  async #announce(
    head: HeadDescriptor,
    artifact: ArtifactDescriptor,
    receipts: readonly ContributionReceiptId[],
  ): Promise<void> {
    const { peerId } = this.#swarm
    const withdraw = this.#swarm.provide(artifact)
    this.#withdraw()
    this.#withdraw = withdraw
    await this.#swarm.announce(headAnnouncement(this.#experiment, peerId, head))
    if (head.parent_head_id === null) return
    await this.#swarm.announce(
      mergeAnnouncement(this.#experiment, peerId, head, head.parent_head_id, receipts),
    )
  }

  /** Evaluates, stores artifact and head, pins, and only then names the head canonical. */
  async #promote(
    model: ModelHandle,
    {
      head_id,
      parent,
      from,
    }: { head_id: HeadId; parent: HeadDescriptor | null; from: Promotion['from'] },
    options: CallOptions,
  ): Promise<Promotion> {
    const { study_id, experiment_id, revision_id, evaluation_split } = this.#experiment
    const { metrics, captured_at } = await this.#project.evaluate(model, evaluation_split, options)
    refuseNonFinite(head_id, metrics)
    const artifact = await this.#project.materializeModelArtifact(
      model,
      { kind: 'FullHead', head_id, base_head_id: parent?.head_id ?? null },
      this.#store,
      options,
    )
    const head: HeadDescriptor = {
      head_id,
      study_id,
      experiment_id,
      revision_id,
      artifact_id: artifact.artifact_id,
      parent_head_id: parent?.head_id ?? null,
      global_step: parent === null ? 0 : parent.global_step + 1,
      created_at: captured_at,
      metrics,
    }
    // A promotion that was cut short is done again, at another time.
    await this.#store.storeHead(head, { ...options, replace: true })
    await this.#store.pinHead(head_id)
    await writeCanonicalHead(this.#store, head)
    return { head, artifact, from }
  }
}

function refuseNonFinite(head_id: HeadId, metrics: Metrics): void {
  for (const name of ['loss', 'accuracy']) {
    const value = Object.hasOwn(metrics, name) ? metrics[name] : undefined
    if (typeof value === 'number' && !Number.isFinite(value)) {
      throw new EvaluationRefusedError(
        `Cannot promote ${head_id}: its evaluation has ${name} ${value}; the canonical head stays`,
      )
    }
  }
}
