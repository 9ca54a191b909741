/**
 * The role of an archive: it fetches the artifact of every head that is promoted, keeps the newest, and offers them, so that
 * a head outlives the peers that made it. It needs no Python.
 */

import { throwIfAborted, type OperationOptions } from '../core/abort.js'
import type { HeadDescriptor, HeadId, PeerId } from '../schema/index.js'
import { timestampNow } from '../schema/index.js'
import type { HeadAnnouncement, MergeCertificate } from '../schema/records/network/index.js'
import type { FetchReport } from '../store/index.js'
import { ARCHIVED_HEADS } from './limits.js'
import type { Swarm } from './swarm.js'

/** Pauses before a head is fetched again that could not be, in milliseconds; each failure doubles it. */
const RETRY_FIRST_MS = 500
const RETRY_LAST_MS = 60_000

/** How an archive works. */
export interface ArchiveOptions extends OperationOptions {
  /** Heads that are kept, the last promoted ones. Default 8. */
  readonly keep?: number | undefined
  /** Told of each head when it is in the store and on offer. */
  readonly onKept?: ((head: HeadDescriptor, report: FetchReport) => void) | undefined
  /** Told why a head could not be kept; it is tried again after a pause, and when another peer offers it. */
  readonly onProblem?: ((head: HeadId, error: unknown) => void) | undefined
}

/**
 * Keeps the promoted heads of a swarm until its peer leaves.
 *
 * @throws AbortError when the signal fires
 */
export async function archiveHeads(swarm: Swarm, options: ArchiveOptions = {}): Promise<void> {
  const archive = new Archive(swarm, options)
  // One of the two says what the other has left open, whichever comes first.
  const work = Promise.all([
    (async () => {
      for await (const { certificate } of swarm.announcements.follow('Merge', options)) {
        await archive.promoted(certificate)
      }
    })(),
    (async () => {
      for await (const { head } of swarm.announcements.follow('Head', options)) {
        await archive.offered(head)
      }
    })(),
  ])
  try {
    await work
  } finally {
    archive.end()
  }
}

class Archive {
  readonly #swarm: Swarm
  readonly #options: ArchiveOptions
  readonly #promoted = new Map<HeadId, MergeCertificate>()
  /** What ends the keeping of a head; undefined while it is being fetched. */
  readonly #kept = new Map<HeadId, (() => Promise<void>) | undefined>()
  readonly #failures = new Map<HeadId, number>()
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(swarm: Swarm, options: ArchiveOptions) {
    this.#swarm = swarm
    this.#options = options
  }

  async promoted(certificate: MergeCertificate): Promise<void> {
    this.#promoted.delete(certificate.merged_head_id)
    this.#promoted.set(certificate.merged_head_id, certificate)
    await this.#keep(certificate)
  }

  async offered({ head_id }: HeadDescriptor): Promise<void> {
    const certificate = this.#promoted.get(head_id)
    if (certificate !== undefined) await this.#keep(certificate)
  }

  async #keep(certificate: MergeCertificate): Promise<void> {
    const { merged_head_id, merged_artifact_id } = certificate
    if (this.#kept.has(merged_head_id) || !this.#isNew(merged_head_id)) return
    const announced = this.#swarm.announcements
      .of('Head')
      .filter(({ head }) => head.head_id === merged_head_id)
      // Anyone may announce another head under the same id.
      .filter(({ head }) => head.artifact_id === merged_artifact_id)
    const first = announced[0]
    if (first === undefined) return
    this.#kept.set(merged_head_id, undefined)
    try {
      await this.#fetch(first, announced)
    } catch (error) {
      this.#kept.delete(merged_head_id)
      throwIfAborted(this.#options.signal, 'keep a head')
      this.#options.onProblem?.(merged_head_id, error)
      this.#retryLater(certificate)
    }
  }

  /** A peer that is busy, or not yet connected, may have it the next time. */
  #retryLater(certificate: MergeCertificate): void {
    const failures = this.#failures.get(certificate.merged_head_id) ?? 0
    this.#failures.set(certificate.merged_head_id, failures + 1)
    const pause = Math.min(RETRY_FIRST_MS * 2 ** failures, RETRY_LAST_MS)
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      // An abort ends the loops as well, which say so.
      this.#keep(certificate).catch(() => undefined)
    }, pause)
    this.#timers.add(timer.unref())
  }

  end(): void {
    for (const timer of this.#timers) clearTimeout(timer)
  }

  /** Whether it is among the last promoted heads, which are those that are kept. */
  #isNew(head: HeadId): boolean {
    const { keep = ARCHIVED_HEADS } = this.#options
    const promoted = this.#swarm.announcements.of('Merge').slice(-keep)
    return promoted.some(({ certificate }) => certificate.merged_head_id === head)
  }

  async #fetch(first: HeadAnnouncement, announced: readonly HeadAnnouncement[]): Promise<void> {
    const { store, peerId } = this.#swarm
    const { head, overlay } = first
    const from = [...new Set(announced.map((of) => of.provider_peer_id))].filter(
      (peer): peer is PeerId => peer !== null && peer !== peerId,
    )
    const report = await this.#swarm.fetch(head.artifact_id, from, this.#options)
    await store.storeHead(head, { replace: true })
    await store.pinHead(head.head_id)
    const withdraw = this.#swarm.provide(report.artifact)
    this.#kept.set(head.head_id, async () => {
      withdraw()
      await store.unpinHead(head.head_id)
    })
    await this.#swarm.announce({
      Head: { overlay, provider_peer_id: peerId, head, announced_at: timestampNow() },
    })
    this.#failures.delete(head.head_id)
    this.#options.onKept?.(head, report)
    await this.#dropOldest()
  }

  async #dropOldest(): Promise<void> {
    const { keep = ARCHIVED_HEADS, signal } = this.#options
    let dropped = false
    for (const [head, end] of this.#kept) {
      if (this.#kept.size <= keep) break
      if (end === undefined) continue
      this.#kept.delete(head)
      this.#promoted.delete(head)
      await end()
      dropped = true
    }
    if (dropped) await this.#swarm.store.garbageCollect({ signal })
  }
}
