/**
 * What other peers did wrong, and what follows. Every fault is counted under its kind. A lie bans its peer at once, a fault that
 * may be a mistake once there are many of them in a minute; a peer that is merely slow or gone is never banned.
 */

import {
  BAN_FIRST_MS,
  BAN_LONGEST_MS,
  FAULTS_PER_MINUTE,
  MAX_CONDUCT_RECORDS,
  REFUSAL_MS,
} from './limits.js'

/**
 * What a peer can do wrong. Of an answer, a request or a message: `malformed` is not what the protocol says, `oversize` larger
 * than allowed, `flood` more than allowed. Of a record: `misplaced` on another topic than its own, `impersonation` in
 * another peer's name, `unauthorised` beyond what its certificate grants, `future` of a time that has not come, `number`
 * with a number that cannot be. Of an artifact: `false-descriptor`, `false-chunk`. `not-admitted` without a valid
 * certificate; `slow` and `unreachable` are broken, no more, and so is one whose clock is ahead.
 */
export type Fault =
  | 'malformed'
  | 'oversize'
  | 'flood'
  | 'misplaced'
  | 'impersonation'
  | 'unauthorised'
  | 'future'
  | 'number'
  | 'false-descriptor'
  | 'false-chunk'
  | 'not-admitted'
  | 'slow'
  | 'unreachable'

const LIES: readonly Fault[] = ['false-descriptor', 'false-chunk', 'not-admitted']
const MISHAPS: readonly Fault[] = ['slow', 'unreachable', 'future']

/** Why a peer is kept away, and until when. */
export interface Ban {
  readonly fault: Fault
  /** What it did, in words. */
  readonly reason: string
  /** Milliseconds since 1970. */
  readonly until: number
}

/** What is known of a peer's conduct. */
export interface PeerConduct {
  readonly peerId: string
  /** How often it did what. */
  readonly faults: Readonly<Partial<Record<Fault, number>>>
  /** Its last fault in words. */
  readonly last: string
  /** While it is kept away. */
  readonly ban: Ban | undefined
}

interface Kept {
  readonly faults: Partial<Record<Fault, number>>
  last: string
  ban: Ban | undefined
  bans: number
  /** Times of the faults of the last minute that may be mistakes. */
  recent: number[]
}

/** The conduct of the peers that did something wrong recently; the oldest are forgotten where there are too many. */
export class Conduct {
  readonly #peers = new Map<string, Kept>()
  readonly #onBan: (peerId: string, ban: Ban) => void
  readonly #now: () => number

  /** @param onBan told of each ban, once */
  constructor(onBan: (peerId: string, ban: Ban) => void, now: () => number = Date.now) {
    this.#onBan = onBan
    this.#now = now
  }

  /** Counts a fault, and bans the peer when it is a lie or one too many. */
  note(peerId: string, fault: Fault, reason: string): void {
    const peer = this.#peers.get(peerId) ?? {
      ...{ faults: {}, last: '', ban: undefined, bans: 0, recent: [] },
    }
    // The one that did something last is the last to be forgotten.
    this.#peers.delete(peerId)
    this.#peers.set(peerId, peer)
    peer.faults[fault] = (peer.faults[fault] ?? 0) + 1
    peer.last = reason.length > 300 ? `${reason.slice(0, 300)}…` : reason
    if (!MISHAPS.includes(fault)) this.#judge(peerId, peer, fault)
    if (this.#peers.size > MAX_CONDUCT_RECORDS) this.#forgetOne()
  }

  /** The ban under which a peer is now. */
  banOf(peerId: string): Ban | undefined {
    const ban = this.#peers.get(peerId)?.ban
    return ban !== undefined && ban.until > this.#now() ? ban : undefined
  }

  /** Lifts a ban, and forgets what the peer did. */
  pardon(peerId: string): void {
    this.#peers.delete(peerId)
  }

  /** All that did something wrong, the latest last. */
  list(): PeerConduct[] {
    return [...this.#peers].map(([peerId, { faults, last }]) => ({
      ...{ peerId, faults: { ...faults }, last, ban: this.banOf(peerId) },
    }))
  }

  #judge(peerId: string, peer: Kept, fault: Fault): void {
    const now = this.#now()
    peer.recent = [...peer.recent.filter((at) => at > now - 60_000), now]
    if (!LIES.includes(fault) && peer.recent.length < FAULTS_PER_MINUTE) return
    if (this.banOf(peerId) !== undefined) return
    peer.recent = []
    const length =
      fault === 'not-admitted'
        ? REFUSAL_MS
        : Math.min(BAN_FIRST_MS * 2 ** peer.bans++, BAN_LONGEST_MS)
    peer.ban = { fault, reason: peer.last, until: now + length }
    this.#onBan(peerId, peer.ban)
  }

  /** Those that are banned stay as long as there are others. */
  #forgetOne(): void {
    for (const peerId of this.#peers.keys()) {
      if (this.banOf(peerId) !== undefined) continue
      this.#peers.delete(peerId)
      return
    }
    this.#peers.delete(this.#peers.keys().next().value ?? '')
  }
}
