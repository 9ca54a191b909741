/**
 * The trainer of a swarm, window after window for as long as there is one: it follows whatever head is canonical, trains over it
 * on what no other trainer has leased, and goes on when the next is promoted (spec network-roles#trainer).
 *
 * Two things keep a slow peer among fast ones. A peer whose window is overtaken by a promotion leaves it and leases half of
 * that work the next time. And a peer that is done announces its head at once but its update only when the other trainers of the
 * window have theirs, or after a moment: validators of the reference merge whatever update they see first.
 */

import { throwIfAborted } from '../core/abort.js'
import type { CallOptions } from '../runtime/python-runtime.js'
import type { HeadDescriptor, HeadId, PeerId } from '../schema/index.js'
import { canonicalHead, headKey, isOf, type OfferedHead } from './announcements.js'
import type { Experiment } from './experiment.js'
import type { TrainingEvent } from './events.js'
import { KeptHead } from './kept-head.js'
import { Trainer, type Contribution, type TrainerParts } from './trainer.js'
import { untilKnown } from './waiting.js'
import {
  freeMicroshards,
  isTrainer,
  isWindowOpen,
  leasesOf,
  mergeWindowAnnouncement,
  validatorsOf,
  windowOver,
} from './windows.js'

/** How a trainer of a swarm works. */
export interface TrainerLoopOptions extends CallOptions {
  /** Step of the canonical head at which it ends. Default: it goes on until the signal fires. */
  readonly windows?: number
  /** Most milliseconds that an update is held back for other leaseholders. Default 3000. */
  readonly paceMs?: number
  /** Whether chunks that nothing names any more are deleted after each window. Default true. */
  readonly collectGarbage?: boolean
}

/** Most milliseconds that an update is held back for other leaseholders. */
const PACE_MS = 3000

/** Milliseconds before `waiting` says that no head to train on has come. */
const PATIENCE_MS = 10_000

/** Pauses before a head is tried again that could not be had, in milliseconds; each failure doubles it. */
const RETRY_FIRST_MS = 250
const RETRY_LAST_MS = 30_000

/**
 * Trains on a swarm. Its store is of its own: it keeps the canonical head there.
 *
 * Aborting the signal is how it ends when no number of windows is given; it then throws the AbortError. What it has published
 * is kept. What a peer sends never ends it: that is an event, `problem`.
 *
 * @throws AbortError; what the workload throws; ConfigError when the store is another experiment's
 */
export async function* trainOnSwarm(
  parts: TrainerParts,
  {
    windows = Infinity,
    paceMs = PACE_MS,
    collectGarbage = true,
    ...options
  }: TrainerLoopOptions = {},
): AsyncGenerator<TrainingEvent, void> {
  const loop = new TrainerLoop(parts, paceMs, options)
  try {
    const restored = await loop.restore()
    if (restored !== null) yield* restored
    for (;;) {
      const offered = yield* loop.next()
      const isHere = yield* loop.adopt(offered)
      if (!isHere) continue
      if (offered.head.global_step >= windows) return
      if (collectGarbage) await parts.swarm.store.garbageCollect(options)
      yield await loop.window(offered.head)
    }
  } finally {
    await loop.close()
  }
}

/** A head that could not be had, and how often before. */
interface Failure {
  readonly key: string
  readonly times: number
}

class TrainerLoop {
  readonly #parts: TrainerParts
  readonly #paceMs: number
  readonly #options: CallOptions
  readonly #trainer: Trainer
  readonly #kept: KeptHead
  /** The head that was trained on last, by {@link headKey}. */
  #trained: string | null = null
  #failed: Failure | null = null
  /** Of the experiment's budget, what this peer can do before others are done. */
  #share = 1

  constructor(parts: TrainerParts, paceMs: number, options: CallOptions) {
    this.#parts = parts
    this.#paceMs = paceMs
    this.#options = options
    this.#trainer = new Trainer(parts)
    this.#kept = new KeptHead(parts.swarm, parts.experiment)
  }

  get #experiment(): Experiment {
    return this.#parts.experiment
  }

  /** Takes up what the store has from before; what there is to tell of it, or null when it has nothing. */
  async restore(): Promise<TrainingEvent[] | null> {
    const head = await this.#kept.restore()
    if (head === null) return null
    const missing = await this.#trainer.restore(head, this.#options)
    if (missing === null) return [{ event: 'resumed', head, lineage: [head] }]
    const { peerId: peer } = this.#trainer
    const window = head.global_step
    return [
      { event: 'resumed', head, lineage: [head] },
      { event: 'local_state_missing', window, peer, ...missing },
    ]
  }

  /** The canonical head, once it is another than the one that was trained on. */
  async *next(): AsyncGenerator<TrainingEvent, OfferedHead> {
    const find = () => this.#newHead()
    for (let waited = 0; ; waited += PATIENCE_MS) {
      const { signal } = this.#options
      const found = await untilKnown(this.#parts.swarm.announcements, find, {
        signal,
        forMs: PATIENCE_MS,
      })
      if (found !== undefined) return found
      yield { event: 'waiting', for: 'head', seconds: (waited + PATIENCE_MS) / 1000 }
    }
  }

  /** Fetches a head and loads it. False when that failed, which the events say; it is tried again later, or another is. */
  async *adopt(offered: OfferedHead): AsyncGenerator<TrainingEvent, boolean> {
    const key = headKey(offered.head)
    if (this.#failed?.key === key && (await this.#isAnotherOut(this.#failed))) return false
    try {
      const before = this.#kept.head
      await this.#kept.keep(offered, this.#options)
      await this.#trainer.follow(offered.head, this.#options)
      this.#failed = null
      if (before === null || headKey(before) !== key) yield { event: 'adopted', head: offered.head }
      return true
    } catch (error) {
      throwIfAborted(this.#options.signal, 'train on a swarm')
      const times = this.#failed?.key === key ? this.#failed.times + 1 : 0
      this.#failed = { key, times }
      yield { event: 'problem', peer: offered.providers[0] ?? null, error }
      return false
    }
  }

  /** Trains a window over a head; leaves it when another head has become the canonical one. */
  async window(base: HeadDescriptor): Promise<TrainingEvent> {
    const { swarm, plan } = this.#parts
    const known = swarm.announcements
    const window = windowOver(known, this.#experiment, base)
    const overtaken = new AbortController()
    const stop = known.listen((payload) => {
      if (('Merge' in payload || 'Head' in payload) && this.#isOvertaken(base)) overtaken.abort()
    })
    const signal = AbortSignal.any([
      overtaken.signal,
      ...(this.#options.signal ? [this.#options.signal] : []),
    ])
    this.#trained = headKey(base)
    try {
      if (!isWindowOpen(known, this.#experiment, window, base)) {
        const validators = validatorsOf(swarm, false)
        await swarm.announce(mergeWindowAnnouncement(this.#experiment, window, base, validators))
      }
      const budget = Math.max(1, Math.floor(this.#experiment.budget_work_units * this.#share))
      const contribution = await this.#trainer.window(window, base, {
        ...this.#options,
        signal,
        budget,
        pin: true,
        microshards: freeMicroshards(swarm, this.#experiment, window, plan.microshards),
        beforeUpdate: (made) => this.#pace(made, base, signal),
      })
      this.#share = Math.min(1, this.#share * 1.5)
      return { event: 'window', window, contribution }
    } catch (error) {
      throwIfAborted(this.#options.signal, 'train on a swarm')
      if (!overtaken.signal.aborted) throw error
      this.#share /= 2
      return { event: 'overtaken', window, peer: swarm.peerId }
    } finally {
      stop()
    }
  }

  async close(): Promise<void> {
    this.#kept.close()
    if (!this.#parts.project.closed) await this.#trainer.close()
  }

  #newHead(): OfferedHead | undefined {
    const found = canonicalHead(this.#parts.swarm.announcements, this.#experiment)
    if (found === null || headKey(found.head) === this.#trained) return undefined
    return found
  }

  #isOvertaken(base: HeadDescriptor): boolean {
    const canonical = canonicalHead(this.#parts.swarm.announcements, this.#experiment)
    return canonical !== null && headKey(canonical.head) !== headKey(base)
  }

  /** Waits for those that hold a lease of the window and have published nothing. */
  async #pace({ lease }: Contribution, base: HeadDescriptor, signal: AbortSignal) {
    const { swarm } = this.#parts
    const known = swarm.announcements
    const isDone = () => this.#unready(base, lease.window_id).length === 0 || undefined
    await untilKnown(known, isDone, { signal, forMs: this.#paceMs })
  }

  /**
   * Those that can be reached and have published nothing over the base, though they hold a lease of the window or published in
   * the one before.
   */
  #unready(base: HeadDescriptor, window: number): PeerId[] {
    const { swarm } = this.#parts
    const ready = this.#publishedOver(base.head_id)
    const before = base.parent_head_id
    const expected = before === null ? new Set<PeerId>() : this.#publishedOver(before)
    const leases = leasesOf(swarm.announcements, this.#experiment, window)
    const others = swarm.peers.filter(isTrainer).map(({ peerId }) => peerId)
    return others.filter((peer) => (leases.has(peer) || expected.has(peer)) && !ready.has(peer))
  }

  #publishedOver(base: HeadId): Set<PeerId> {
    const known = this.#parts.swarm.announcements
    const peers = new Set<PeerId>()
    for (const { head, provider_peer_id } of known.of('Head')) {
      if (!isOf(this.#experiment, head) || head.parent_head_id !== base) continue
      if (provider_peer_id !== null) peers.add(provider_peer_id)
    }
    for (const { update } of known.of('Update')) {
      if (isOf(this.#experiment, update) && update.base_head_id === base) peers.add(update.peer_id)
    }
    return peers
  }

  /** Whether another head became the canonical one while it was not yet time to try the failed one again. */
  async #isAnotherOut({ key, times }: Failure): Promise<boolean> {
    const { signal } = this.#options
    const isOther = () => {
      const found = this.#newHead()
      return found !== undefined && headKey(found.head) !== key ? true : undefined
    }
    const forMs = Math.min(RETRY_FIRST_MS * 2 ** times, RETRY_LAST_MS)
    const known = this.#parts.swarm.announcements
    return (await untilKnown(known, isOther, { signal, forMs })) === true
  }
}
