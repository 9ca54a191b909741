/**
 * The validator of a swarm: it makes the genesis where there is no head, merges what trainers announce over the canonical one,
 * and promotes the result, window after window (spec network-roles#validator).
 *
 * A window closes when every trainer that can be reached has an update, save those that had none the last time and hold no lease
 * of this one; at the latest some time after the first update. Of several validators that of the smallest peer id promotes. Each of the others waits
 * a while longer than the one before it, and promotes when none of those has. None promotes without half of the peers that took
 * part recently: cut off from them, it would go its own way.
 */

import { throwIfAborted } from '../core/abort.js'
import type { CallOptions } from '../runtime/python-runtime.js'
import type { HeadDescriptor, PeerId } from '../schema/index.js'
import { announcedUpdates, canonicalHead, headKey, type OfferedHead } from './announcements.js'
import type { Candidate } from './candidate.js'
import type { Experiment } from './experiment.js'
import type { TrainingEvent } from './events.js'
import { KeptHead } from './kept-head.js'
import { Validator, type ValidatorParts } from './validator.js'
import { untilKnown } from './waiting.js'
import { isTrainer, leasesOf, participants, validatorsOf, windowOver } from './windows.js'

/** How a validator of a swarm works. */
export interface ValidatorLoopOptions extends CallOptions {
  /** Steps of the canonical head at which it ends. Default: it goes on until the signal fires. */
  readonly windows?: number
  /**
   * Milliseconds that it waits after the first update of a window for the others. Default: twice as long as the first took,
   * at least 5 s and at most a minute.
   */
  readonly patienceMs?: number | undefined
  /** Milliseconds that each validator waits longer than the one before it. Default 3000. */
  readonly standbyMs?: number | undefined
  /** Milliseconds for which a peer without a head looks for one before it makes the genesis. Default 3000. */
  readonly genesisAfterMs?: number | undefined
  /** Rise of the loss over the base head's above which a contribution is not merged. Default: half of that loss, at least 0.02. */
  readonly canaryTolerance?: number | undefined
  /** Promotes without half of those that took part recently, too: they have left for good. Default false. */
  readonly alone?: boolean
  /** Whether chunks that nothing names any more are deleted after each window. Default true. */
  readonly collectGarbage?: boolean
}

const LEAST_PATIENCE_MS = 5000
const MOST_PATIENCE_MS = 60_000
const STANDBY_MS = 3000
const GENESIS_AFTER_MS = 3000

/** Milliseconds before `waiting` says that no update has come. */
const NOTICE_MS = 10_000

/** A timer that is later than this shows that the process was stopped: what it knows is old. */
const STALL_MS = 2000

/** Milliseconds in which a process that was stopped hears what the others did meanwhile. */
const CATCH_UP_MS = 3000

/**
 * Validates on a swarm. Its store is of its own, or that of a trainer of the same peer: the canonical head is kept there.
 *
 * What peers send never ends it: what cannot be had or used is left out, and told as `problem` or `dropped`.
 *
 * @throws AbortError; what the workload throws when it merges; ConfigError when the store is another experiment's
 */
export async function* validateOnSwarm(
  parts: ValidatorParts,
  options: ValidatorLoopOptions = {},
): AsyncGenerator<TrainingEvent, void> {
  const { windows = Infinity, collectGarbage = true } = options
  const loop = new ValidatorLoop(parts, options)
  try {
    yield* loop.begin()
    for (;;) {
      const offered = loop.canonical()
      yield* loop.adopt(offered)
      if (offered.head.global_step >= windows) return
      if (collectGarbage) await parts.swarm.store.garbageCollect({ signal: options.signal })
      yield* loop.window(offered.head)
    }
  } finally {
    loop.close()
  }
}

class ValidatorLoop {
  readonly #parts: ValidatorParts
  readonly #options: ValidatorLoopOptions
  readonly #call: CallOptions
  readonly #validator: Validator
  readonly #kept: KeptHead
  readonly #beat = new Heartbeat()
  /** Whether it may be that the others know more: it has begun with what it kept. */
  #isBehind = false
  /** The trainers that had no update the last time. */
  #absent: ReadonlySet<PeerId> = new Set()
  /** When the canonical head became that, by `performance.now()`. */
  #opened = performance.now()
  /** The head that could not be had, which is not asked for again before the next. */
  #missing: string | null = null

  constructor(parts: ValidatorParts, options: ValidatorLoopOptions) {
    this.#parts = parts
    this.#options = options
    const { signal, timeoutMs, onProgress } = options
    this.#call = { signal, timeoutMs, onProgress }
    this.#validator = new Validator(parts)
    this.#kept = new KeptHead(parts.swarm, parts.experiment)
  }

  get #experiment(): Experiment {
    return this.#parts.experiment
  }

  get #known() {
    return this.#parts.swarm.announcements
  }

  /** The head to begin with: that of the store, of the others, or a genesis. */
  async *begin(): AsyncGenerator<TrainingEvent, void> {
    const { swarm } = this.#parts
    const { genesisAfterMs = GENESIS_AFTER_MS } = this.#options
    const find = () => canonicalHead(this.#known, this.#experiment) ?? undefined
    const stored = await this.#kept.restore()
    if (stored !== null) {
      if (find() === undefined) await this.#validator.resume(stored)
      this.#isBehind =
        swarm.peers.length > 0 || participants(this.#known, this.#experiment, stored).size > 1
      yield { event: 'resumed', head: stored, lineage: [stored] }
    }
    for (;;) {
      const { signal } = this.#options
      const found = await untilKnown(this.#known, find, { signal, forMs: genesisAfterMs })
      if (found !== undefined) return
      if (validatorsOf(swarm, true)[0] === swarm.peerId) break
      yield { event: 'waiting', for: 'head', seconds: genesisAfterMs / 1000 }
    }
    const promotion = await this.#validator.genesis(swarm.peerId, this.#call)
    yield { event: 'promoted', window: 0, promotion }
  }

  canonical(): OfferedHead {
    const found = canonicalHead(this.#known, this.#experiment)
    if (found === null) throw new Error('a swarm that forgot its head')
    return found
  }

  /** Keeps a head that another promoted. One that cannot be had is merged over when a trainer could have it. */
  async *adopt(offered: OfferedHead): AsyncGenerator<TrainingEvent, void> {
    const { head, providers } = offered
    const before = this.#kept.head
    if (before !== null && headKey(before) === headKey(head)) return
    this.#opened = performance.now()
    try {
      const isOwn = providers.includes(this.#parts.swarm.peerId)
      await this.#kept.keep(offered, this.#call)
      if (!isOwn) yield { event: 'adopted', head }
    } catch (error) {
      throwIfAborted(this.#options.signal, 'validate on a swarm')
      if (this.#missing !== headKey(head)) {
        yield { event: 'problem', peer: providers[0] ?? null, error }
      }
      this.#missing = headKey(head)
      await this.#moved(head, NOTICE_MS / 10)
    }
  }

  /** Collects and promotes one window; returns as soon as another has promoted it. */
  async *window(base: HeadDescriptor): AsyncGenerator<TrainingEvent, void> {
    if (!(yield* this.#firstUpdate(base))) return
    const first = performance.now() - this.#opened
    const patience = Math.min(Math.max(LEAST_PATIENCE_MS, 2 * first), MOST_PATIENCE_MS)
    const { signal, patienceMs: forMs = patience } = this.#options
    const isOver = () => this.#isMoved(base) || this.#late(base).length === 0 || undefined
    await untilKnown(this.#known, isOver, { signal, forMs })
    if (await this.#isPromotedByOther(base)) return
    if (!(yield* this.#quorum(base))) return

    const window = windowOver(this.#known, this.#experiment, base)
    const collected = await this.#validator.collect(window, base, this.#call)
    for (const { peer_id, error } of collected.left) {
      yield { event: 'problem', peer: peer_id, error }
    }
    const { canaryTolerance } = this.#options
    const { kept, dropped } = await this.#validator.screen(base, collected.contributions, {
      ...this.#call,
      ...(canaryTolerance !== undefined && { tolerance: canaryTolerance }),
    })
    for (const of of dropped) yield { event: 'dropped', window, ...of }
    if (kept.length === 0) yield* this.#nothing(base)
    else if (!(await this.#isPromotedByOther(base))) yield* this.#promote(window, base, kept)
  }

  close(): void {
    this.#beat.stop()
    this.#kept.close()
    this.#validator.close()
  }

  async *#promote(
    window: number,
    base: HeadDescriptor,
    kept: readonly Candidate[],
  ): AsyncGenerator<TrainingEvent, void> {
    this.#absent = new Set(this.#late(base))
    const promotion = await this.#validator.promote(window, base, kept, this.#call)
    yield { event: 'promoted', window, promotion }
  }

  /** Waits for half of those that took part recently. False when another head became the canonical one meanwhile. */
  async *#quorum(base: HeadDescriptor): AsyncGenerator<TrainingEvent, boolean> {
    const { signal } = this.#options
    const find = () => this.#isMoved(base) || this.#isAmongHalf(base) || undefined
    for (let waited = NOTICE_MS; ; waited += NOTICE_MS) {
      const found = await untilKnown(this.#known, find, { signal, forMs: NOTICE_MS })
      if (found !== undefined) return !this.#isMoved(base)
      yield { event: 'waiting', for: 'peers', seconds: waited / 1000 }
    }
  }

  #isAmongHalf(base: HeadDescriptor): boolean {
    if (this.#options.alone === true) return true
    const { swarm } = this.#parts
    const needed = participants(this.#known, this.#experiment, base)
    const reachable = [swarm.peerId, ...swarm.peers.map(({ peerId }) => peerId)]
    return 2 * reachable.filter((peer) => needed.has(peer)).length >= needed.size
  }

  /** Nothing of what came can be merged: until something else comes. */
  async *#nothing(base: HeadDescriptor): AsyncGenerator<TrainingEvent, void> {
    const seen = this.#updates(base).length
    const isNews = () => this.#isMoved(base) || this.#updates(base).length > seen || undefined
    const { signal } = this.#options
    await untilKnown(this.#known, isNews, { signal, forMs: NOTICE_MS })
    yield { event: 'waiting', for: 'updates', seconds: NOTICE_MS / 1000 }
  }

  /** False when another head became the canonical one before an update came. */
  async *#firstUpdate(base: HeadDescriptor): AsyncGenerator<TrainingEvent, boolean> {
    const { signal } = this.#options
    const find = () => this.#isMoved(base) || this.#updates(base).length > 0 || undefined
    for (let waited = NOTICE_MS; ; waited += NOTICE_MS) {
      const found = await untilKnown(this.#known, find, { signal, forMs: NOTICE_MS })
      if (found !== undefined) return !this.#isMoved(base)
      yield { event: 'waiting', for: 'updates', seconds: waited / 1000 }
    }
  }

  /** Whether a validator before this one has promoted a head, or has done so while this process was stopped. */
  async #isPromotedByOther(base: HeadDescriptor): Promise<boolean> {
    const { swarm } = this.#parts
    const { standbyMs = STANDBY_MS } = this.#options
    const place = Math.max(0, validatorsOf(swarm, true).indexOf(swarm.peerId))
    const isBehind = this.#beat.wasStopped() || this.#isBehind
    this.#isBehind = false
    return this.#moved(base, place * standbyMs + (isBehind ? CATCH_UP_MS : 0))
  }

  async #moved(base: HeadDescriptor, forMs: number): Promise<boolean> {
    const { signal } = this.#options
    const find = () => this.#isMoved(base) || undefined
    return (await untilKnown(this.#known, find, { signal, forMs })) ?? false
  }

  #isMoved(base: HeadDescriptor): boolean {
    return headKey(this.canonical().head) !== headKey(base)
  }

  #updates(base: HeadDescriptor) {
    const window = windowOver(this.#known, this.#experiment, base)
    return announcedUpdates(this.#known, this.#experiment, window, base)
  }

  /** Those that an update is to be expected of and that have none. */
  #late(base: HeadDescriptor): PeerId[] {
    const { swarm } = this.#parts
    const window = windowOver(this.#known, this.#experiment, base)
    const leases = leasesOf(this.#known, this.#experiment, window)
    const done = new Set(this.#updates(base).map(({ update }) => update.peer_id))
    const expected = new Set([
      ...swarm.peers
        .filter(isTrainer)
        .flatMap(({ peerId }) => (this.#absent.has(peerId) ? [] : peerId)),
      ...swarm.peers.flatMap(({ peerId }) => (leases.has(peerId) ? peerId : [])),
      ...(leases.has(swarm.peerId) ? [swarm.peerId] : []),
    ])
    return [...expected].filter((peer) => !done.has(peer))
  }
}

/** Notices that the process did not run for a while: it was stopped, or its machine slept. */
class Heartbeat {
  #last = performance.now()
  #stopped = false
  readonly #timer = setInterval(() => this.#tick(), STALL_MS / 4).unref()

  /** Whether that was so since it was last asked. */
  wasStopped(): boolean {
    this.#tick()
    const stopped = this.#stopped
    this.#stopped = false
    return stopped
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #tick(): void {
    const now = performance.now()
    if (now - this.#last > STALL_MS) this.#stopped = true
    this.#last = now
  }
}
