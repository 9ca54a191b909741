/** Bounds what each peer may ask for: requests a second, bytes of requests that are being read, answers that are being sent. */

import { Slots } from '../../core/concurrency.js'
import { PeerProtocolError } from '../errors.js'
import { MAX_ANSWERS_PER_PEER, MAX_REQUEST_BYTES_PER_PEER, REQUESTS_PER_SECOND } from '../limits.js'
import { TokenBucket } from '../rate.js'
import { ByteBudget } from '../streams.js'

/** What a peer may use. */
export interface Allowance {
  readonly budget: ByteBudget
  readonly slots: Slots
}

interface Entry extends Allowance {
  readonly requests: TokenBucket
}

export class RequestGuard {
  readonly #peers = new Map<string, Entry>()
  readonly #check: (peerId: string) => void

  /** @param check throws when nothing of a peer is answered */
  constructor(check: (peerId: string) => void = () => undefined) {
    this.#check = check
  }

  /**
   * Counts a request.
   *
   * @throws PeerProtocolError when it is one too many; what `check` throws
   */
  enter(peerId: string): Allowance {
    this.#check(peerId)
    let entry = this.#peers.get(peerId)
    if (entry === undefined) {
      entry = {
        requests: new TokenBucket(REQUESTS_PER_SECOND, 2 * REQUESTS_PER_SECOND),
        budget: new ByteBudget(MAX_REQUEST_BYTES_PER_PEER),
        slots: new Slots(MAX_ANSWERS_PER_PEER),
      }
      this.#peers.set(peerId, entry)
    }
    if (entry.requests.take()) return entry
    const text = `${peerId} asks more than ${REQUESTS_PER_SECOND} times a second`
    throw new PeerProtocolError(text, peerId, { fault: 'flood' })
  }

  /** Forgets a peer that has left. */
  forget(peerId: string): void {
    this.#peers.delete(peerId)
  }
}
