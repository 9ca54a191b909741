/** What others announce, on its way in: how much of it is looked at, what of it is taken, and who answers for the rest. */

import type { ControlPlaneSnapshot, PubsubPayload } from '../schema/records/network/index.js'
import type { Announcements } from '../swarm/announcements.js'
import type { Admission } from './admission/admission.js'
import type { Conduct, Fault } from './conduct.js'
import { PeerProtocolError, type P2pError } from './errors.js'
import { GOSSIP_PER_SECOND } from './limits.js'
import { TokenBucket } from './rate.js'
import { recordProblem, screenSnapshot, type RecordProblem } from './record-checks.js'

/** What announcements are checked against, and where they go. */
export interface IntakeParts {
  /** This peer: only it speaks of where it is and what it does. */
  readonly peerId: string
  readonly announcements: Announcements
  readonly admission: Admission | undefined
  readonly conduct: Conduct
  readonly isAdmitted: (peerId: string) => boolean
  /** Told when something is known that was not. */
  readonly onNews: () => void
  readonly onProblem: (error: P2pError) => void
}

export class Intake {
  readonly #parts: IntakeParts
  readonly #rates = new Map<string, TokenBucket>()
  readonly #refused: Partial<Record<Fault, number>> = {}

  constructor(parts: IntakeParts) {
    this.#parts = parts
  }

  /** How many records were not taken, by reason. */
  get refused(): Readonly<Partial<Record<Fault, number>>> {
    return { ...this.#refused }
  }

  /** Whether a message of gossip that a peer passes on is looked at. */
  takesGossipOf(source: string): boolean {
    const { conduct, isAdmitted, onProblem } = this.#parts
    if (conduct.banOf(source) !== undefined || !isAdmitted(source)) return false
    let rate = this.#rates.get(source)
    if (rate === undefined) {
      rate = new TokenBucket(GOSSIP_PER_SECOND, 4 * GOSSIP_PER_SECOND)
      this.#rates.set(source, rate)
    }
    if (rate.take()) return true
    const text = `${source} passes on more than ${GOSSIP_PER_SECOND} messages a second`
    onProblem(new PeerProtocolError(text, source, { fault: 'flood' }))
    return false
  }

  /** Forgets a peer that has left. */
  forget(peerId: string): void {
    this.#rates.delete(peerId)
  }

  /** Takes note of what a peer says by gossip. */
  hear(payload: PubsubPayload, author: string): void {
    const { announcements, admission, conduct, onNews, onProblem } = this.#parts
    if (conduct.banOf(author) !== undefined || this.#isOfOwn(payload)) return
    const problem = this.#problemOf(payload, author)
    if (problem === undefined) {
      if (announcements.add(payload)) onNews()
      return
    }
    const { fault, text } = problem
    // Its certificate may come later than its first words.
    const isKnown = fault !== 'unauthorised' || admission?.claimsOf(author) !== undefined
    if (isKnown) onProblem(new PeerProtocolError(text, author, { fault }))
  }

  /** Takes note of what a peer knows. Not all of it is its own: what is wrong with a record is not held against it. */
  learn(snapshot: ControlPlaneSnapshot): void {
    const screened = screenSnapshot(
      snapshot,
      (payload) => !this.#isOfOwn(payload) && this.#problemOf(payload) === undefined,
    )
    if (this.#parts.announcements.merge(screened) > 0) this.#parts.onNews()
  }

  #isOfOwn(payload: PubsubPayload): boolean {
    return 'PeerDirectory' in payload && payload.PeerDirectory.peer_id === this.#parts.peerId
  }

  #problemOf(payload: PubsubPayload, author?: string): RecordProblem | undefined {
    const problem =
      recordProblem(payload, Date.now(), author) ??
      this.#parts.admission?.recordProblem(payload, author)
    if (problem !== undefined) {
      this.#refused[problem.fault] = (this.#refused[problem.fault] ?? 0) + 1
    }
    return problem
  }
}
