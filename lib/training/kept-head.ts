/**
 * The canonical head in a role's own store: fetched, pinned, named the canonical one, and on offer to others, so that it
 * outlives the peer that promoted it.
 */

import type { OperationOptions } from '../core/abort.js'
import type { ArtifactDescriptor, HeadDescriptor } from '../schema/index.js'
import { readCanonicalHead, writeCanonicalHead } from '../store/canonical-head.js'
import type { Swarm } from '../swarm/index.js'
import { headAnnouncement, headKey, providersOf, type OfferedHead } from './announcements.js'
import { ensureArtifact } from './artifacts.js'
import { refuseOtherExperiment, type Experiment } from './experiment.js'

/** Keeps one head, the last that it was given. */
export class KeptHead {
  readonly #swarm: Swarm
  readonly #experiment: Experiment
  #head: HeadDescriptor | null = null
  #withdraw: () => void = () => undefined

  constructor(swarm: Swarm, experiment: Experiment) {
    this.#swarm = swarm
    this.#experiment = experiment
  }

  get head(): HeadDescriptor | null {
    return this.#head
  }

  /**
   * Offers what the store has from before.
   *
   * @throws ConfigError when it is another experiment's
   */
  async restore(): Promise<HeadDescriptor | null> {
    const { store } = this.#swarm
    const head = await readCanonicalHead(store)
    if (head === null) return null
    refuseOtherExperiment(this.#experiment, head)
    if (!(await store.hasCompleteArtifact(head.artifact_id))) return null
    // What a process that was killed had pinned.
    for (const pinned of await store.pinnedHeads()) {
      if (pinned !== head.head_id) await store.unpinHead(pinned)
    }
    await this.keep({ head, providers: [] })
    return head
  }

  /**
   * Fetches a head where the store lacks it, keeps it in place of the one before, and tells others that it can be had here.
   *
   * @throws as {@link Swarm.fetch}; the one before then stays
   */
  async keep({ head, providers }: OfferedHead, options: OperationOptions = {}): Promise<void> {
    const { store, peerId, announcements } = this.#swarm
    const before = this.#head
    if (before !== null && headKey(before) === headKey(head)) return
    // Another role of this peer may collect garbage meanwhile.
    await store.pinArtifact(head.artifact_id)
    let artifact: ArtifactDescriptor
    try {
      await ensureArtifact(this.#swarm, head.artifact_id, providers, options)
      artifact = await store.loadManifest(head.artifact_id)
      // Two peers may have promoted different heads of one name.
      await store.storeHead(head, { replace: true })
      await store.pinHead(head.head_id)
      await writeCanonicalHead(store, head)
    } finally {
      await store.unpinArtifact(head.artifact_id)
    }
    this.#head = head
    const withdraw = this.#swarm.provide(artifact)
    this.#withdraw()
    this.#withdraw = withdraw
    if (before !== null && before.head_id !== head.head_id) await store.unpinHead(before.head_id)
    if (providersOf(announcements, head).includes(peerId)) return
    await this.#swarm.announce(headAnnouncement(this.#experiment, peerId, head))
  }

  /** Offers it no longer. */
  close(): void {
    this.#withdraw()
  }
}
