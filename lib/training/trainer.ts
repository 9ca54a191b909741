/**
 * A peer that trains: one warm model, its own shard cache, one window at a time (spec project#training-loop). A role over a
 * swarm: the same in one process and over a network.
 */

import {
  DataReceiptBuilder,
  processedCounts,
  type LeasePlanner,
  type ShardCache,
} from '../data/index.js'
import { HookMissingError } from '../errors.js'
import { qualityWeight } from '../project/contribution.js'
import { ModelHandle } from '../project/model-handle.js'
import type { TorchProject } from '../project/torch-project.js'
import type { CallOptions } from '../runtime/python-runtime.js'
import {
  timestampNow,
  type ArtifactDescriptor,
  type AssignmentLease,
  type ContributionReceipt,
  type DatasetRegistration,
  type DataReceipt,
  type HeadDescriptor,
  type HeadId,
  type Metrics,
  type MicroShard,
  type MicroShardPlan,
  type PeerId,
} from '../schema/index.js'
import type { Swarm } from '../swarm/index.js'
import { headAnnouncement, headKey, providersOf, updateAnnouncement } from './announcements.js'
import { ensureArtifact } from './artifacts.js'
import { receiptId, windowHeadId, type Experiment } from './experiment.js'
import type { LocalState, LocalStateCost, LocalStateMissing } from './local-state.js'
import { leaseAnnouncement } from './windows.js'

/** What a trainer works with. */
export interface TrainerParts {
  readonly project: TorchProject
  readonly experiment: Experiment
  /** The trainer's peer, and the store that it publishes to. */
  readonly swarm: Swarm
  readonly cache: ShardCache
  readonly planner: LeasePlanner
  readonly registration: DatasetRegistration
  readonly plan: MicroShardPlan
  /** Keeps the peer's own training state; null when it shall not, or need not. */
  readonly localState: LocalState | null
}

/** What a trainer publishes after a window. */
export interface Contribution {
  readonly peer_id: PeerId
  readonly lease: AssignmentLease
  readonly head: HeadDescriptor
  readonly artifact: ArtifactDescriptor
  readonly receipt: ContributionReceipt
  readonly data_receipt: DataReceipt
  readonly quality_weight: number
  /** The window's stats. */
  readonly metrics: Metrics
  /** How long the call into Python took, waiting for other peers' calls included, in seconds. */
  readonly seconds: number
  /** What keeping the peer's own training state cost; null when none was kept. */
  readonly local_state: LocalStateCost | null
}

/** How one window is trained. */
export interface WindowOptions extends CallOptions {
  /** What may be leased of the plan. Default: all of it. */
  readonly microshards?: readonly MicroShard[] | undefined
  /** Work units of the lease. Default: the experiment's. */
  readonly budget?: number | undefined
  /** Whether what is published is pinned until the next window is, or the trainer is closed. Default false. */
  readonly pin?: boolean | undefined
  /** Awaited when the head is announced and before the update is: from the update on it may be merged. */
  readonly beforeUpdate?: ((contribution: Contribution) => Promise<void>) | undefined
}

/** One peer of an experiment: follows the canonical head, leases, fetches, trains and publishes. */
export class Trainer {
  readonly #parts: TrainerParts
  #model: ModelHandle | null = null
  #base: HeadDescriptor | null = null
  /** Ends the offer of the last window's artifact. */
  #withdraw: () => void = () => undefined
  #pinned: HeadId | null = null

  constructor(parts: TrainerParts) {
    this.#parts = parts
  }

  get peerId(): PeerId {
    return this.#parts.swarm.peerId
  }

  /**
   * Takes up the training state that the peer kept when it contributed to a canonical head, before the first window
   * of a resumed run. Nothing is to be taken up of a genesis, nor where no state is to be kept.
   *
   * @returns why the peer goes on from the canonical model alone; null when it does not
   */
  async restore(
    canonical: HeadDescriptor,
    options: CallOptions = {},
  ): Promise<LocalStateMissing | null> {
    const { localState } = this.#parts
    if (localState === null || canonical.parent_head_id === null) return null
    const restored = await localState.restore(canonical, options)
    if (!(restored instanceof ModelHandle)) return restored
    await this.#model?.release()
    this.#model = restored
    this.#base = null
    return null
  }

  /**
   * Follows the canonical head, leases, fetches, trains, publishes and announces. The artifact is on offer until the
   * next window is published, or the trainer is closed. What was published under the
   * same names before is replaced, so that a window that was cut off can be done again.
   */
  async window(
    window: number,
    canonical: HeadDescriptor,
    { microshards, budget, pin, beforeUpdate, ...options }: WindowOptions = {},
  ): Promise<Contribution> {
    const { project, experiment, swarm, cache, registration, plan, localState } = this.#parts
    const { store } = swarm
    const model = await this.follow(canonical, options)
    const lease = await this.#lease(window, { microshards, budget }, options)
    await swarm.announce(leaseAnnouncement(experiment, lease))
    const cached = await cache.fetchLeaseMicroshards(registration, plan, lease, options)
    const batches = await project.loadBatches(lease, cached, options)

    const began = performance.now()
    const report = await project.trainWindow({ model, batches, cachedMicroshards: cached }, options)
    const seconds = (performance.now() - began) / 1000

    const head_id = windowHeadId(experiment, this.peerId, window)
    await this.#unpin()
    if (pin === true) {
      // Before it is stored: another role of this peer may collect garbage meanwhile.
      await store.pinHead(head_id)
      this.#pinned = head_id
    }
    const artifact = await project.materializeModelArtifact(
      model,
      { kind: 'FullHead', head_id, base_head_id: canonical.head_id },
      store,
      options,
    )
    const metrics = report.stats
    const { study_id, experiment_id, revision_id } = experiment
    const scope = { study_id, experiment_id, revision_id }
    const head: HeadDescriptor = {
      head_id,
      ...scope,
      artifact_id: artifact.artifact_id,
      parent_head_id: canonical.head_id,
      global_step: canonical.global_step + 1,
      created_at: report.completed_at,
      metrics,
    }
    const receipt: ContributionReceipt = {
      receipt_id: receiptId(experiment, this.peerId, window),
      peer_id: this.peerId,
      ...scope,
      base_head_id: canonical.head_id,
      artifact_id: artifact.artifact_id,
      accepted_at: timestampNow(),
      accepted_weight: project.contributionWeight(report),
      metrics,
      merge_cert_id: null,
    }
    const counts = processedCounts(metrics, cached)
    const data_receipt = DataReceiptBuilder.accepted(
      counts.examples_processed,
      counts.tokens_processed,
    ).build(lease, report.completed_at)
    // Before the head is published: of what is merged, each peer has the state.
    const local_state = (await localState?.save(model, head, options)) ?? null
    // A window that was cut short is done again, at other times.
    await store.storeHead(head, { ...options, replace: true })
    await store.storeReceipt(receipt, { ...options, replace: true })
    const contribution: Contribution = {
      peer_id: this.peerId,
      lease,
      head,
      artifact,
      receipt,
      data_receipt,
      quality_weight: qualityWeight(metrics),
      metrics,
      seconds,
      local_state,
    }
    this.#withdraw()
    this.#withdraw = swarm.provide(artifact)
    // An update is of use once its head is known: the head first.
    await swarm.announce(headAnnouncement(experiment, this.peerId, head))
    await beforeUpdate?.(contribution)
    await swarm.announce(updateAnnouncement(experiment, contribution))
    return contribution
  }

  /** Releases the peer's model, and offers its artifact no longer. */
  async close(): Promise<void> {
    this.#withdraw()
    await this.#unpin()
    await this.#model?.release()
    this.#model = null
  }

  /**
   * The model to train: the canonical one at first, then what reconciling with it gives. {@link window} begins with it; called
   * before, it tells whether the head can be had and fits the model.
   */
  async follow(canonical: HeadDescriptor, options: CallOptions = {}): Promise<ModelHandle> {
    const { project, experiment, swarm } = this.#parts
    const { store } = swarm
    const local = this.#model
    const base = this.#base
    if (local !== null && base !== null && headKey(base) === headKey(canonical)) return local
    const providers = providersOf(swarm.announcements, canonical)
    await ensureArtifact(swarm, canonical.artifact_id, providers, options)
    const incoming = await project.initModel(project.runtimeDevice, options)
    try {
      const artifact = await store.loadManifest(canonical.artifact_id)
      await project.loadModelArtifact(incoming, artifact, store, options)
      if (local !== null) {
        const strategy = experiment.canonical_reconcile
        try {
          await project.reconcileCanonicalModel(local, incoming, strategy, options)
        } catch (error) {
          // To replace the local model is to take the incoming one: that needs no hook.
          if (!(error instanceof HookMissingError && strategy === 'Replace')) throw error
        }
      }
    } catch (error) {
      await incoming.release()
      throw error
    }
    await local?.release()
    this.#model = incoming
    this.#base = canonical
    return incoming
  }

  async #unpin(): Promise<void> {
    const pinned = this.#pinned
    this.#pinned = null
    if (pinned !== null) await this.#parts.swarm.store.unpinHead(pinned)
  }

  async #lease(
    window: number,
    { microshards, budget }: Pick<WindowOptions, 'microshards' | 'budget'>,
    options: CallOptions,
  ): Promise<AssignmentLease> {
    const { experiment, plan, planner } = this.#parts
    const { network_id, study_id, experiment_id, revision_id } = experiment
    const { lease } = await planner.planLease(
      {
        network_id,
        study_id,
        experiment_id,
        revision_id,
        peer_id: this.peerId,
        dataset_view_id: plan.dataset_view.dataset_view_id,
        window_id: window,
        granted_at: timestampNow(),
        budget_work_units: budget ?? experiment.budget_work_units,
      },
      microshards ?? plan.microshards,
      options,
    )
    return lease
  }
}
