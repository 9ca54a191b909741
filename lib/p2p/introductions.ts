/**
 * Connects with peers that others told of, while this peer has few connections: a network of which one peer knows all others
 * must not fall apart with it.
 */

import type { ConnectionManager } from '@libp2p/interface-internal'

import type { KnownAnnouncements } from '../swarm/index.js'
import { addressesOf } from './known-addresses.js'
import {
  INTRODUCTIONS_AT_ONCE,
  INTRODUCTIONS_UP_TO,
  REDIAL_FIRST_MS,
  INTRODUCTION_LAST_MS,
  INTRODUCTION_TICK_MS,
  DIAL_TIMEOUT_MS,
} from './limits.js'

/** A peer of the directory that could not be reached. */
interface Attempt {
  failures: number
  /** Not before this time, of `performance.now()`. */
  next: number
}

export class Introductions {
  readonly #connections: Pick<ConnectionManager, 'openConnection' | 'getConnections'>
  readonly #announcements: KnownAnnouncements
  readonly #self: () => string
  readonly #isBanned: (peerId: string) => boolean
  readonly #attempts = new Map<string, Attempt>()
  readonly #ended = new AbortController()
  #dialling = 0
  #timer: NodeJS.Timeout | undefined

  constructor(
    connections: Pick<ConnectionManager, 'openConnection' | 'getConnections'>,
    announcements: KnownAnnouncements,
    self: () => string,
    isBanned: (peerId: string) => boolean,
  ) {
    this.#isBanned = isBanned
    this.#connections = connections
    this.#announcements = announcements
    this.#self = self
  }

  start(): void {
    this.#timer = setInterval(() => this.#meet(), INTRODUCTION_TICK_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#ended.abort()
  }

  #meet(): void {
    const connected = new Set(
      this.#connections.getConnections().map(({ remotePeer }) => remotePeer.toString()),
    )
    const self = this.#self()
    const known = new Set<string>()
    for (const { peer_id, addresses } of this.#announcements.of('PeerDirectory').reverse()) {
      if (peer_id === self || connected.has(peer_id) || addresses.length === 0) continue
      if (this.#isBanned(peer_id)) continue
      known.add(peer_id)
      if (connected.size + this.#dialling >= INTRODUCTIONS_UP_TO) break
      if (this.#dialling >= INTRODUCTIONS_AT_ONCE) break
      const attempt = this.#attempts.get(peer_id)
      if (attempt === undefined) {
        // Two that hear of each other at once would dial each other at once, and refuse each other's connection.
        const wait = self < peer_id ? 0 : 2 * REDIAL_FIRST_MS * (1 + Math.random())
        this.#attempts.set(peer_id, { failures: 0, next: performance.now() + wait })
      } else if (performance.now() >= attempt.next) {
        void this.#dial(peer_id, attempt)
      }
    }
    for (const peer of this.#attempts.keys()) if (!known.has(peer)) this.#attempts.delete(peer)
  }

  async #dial(peer: string, attempt: Attempt): Promise<void> {
    this.#dialling += 1
    attempt.next = Infinity
    try {
      const addresses = await addressesOf(peer, this.#announcements)
      if (addresses.length === 0) return
      const signal = AbortSignal.any([this.#ended.signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
      await this.#connections.openConnection(addresses, { signal })
      attempt.failures = 0
    } catch {
      // A peer that has gone is no problem; nobody has asked for it.
      attempt.failures += 1
    } finally {
      this.#dialling -= 1
      const pause = Math.min(REDIAL_FIRST_MS * 2 ** attempt.failures, INTRODUCTION_LAST_MS)
      attempt.next = performance.now() + pause * (0.5 + Math.random())
    }
  }
}
