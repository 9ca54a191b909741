/**
 * The peers that are connected: whether they may take part, what they know, and what happens to those that misbehave. A peer is
 * asked for all that it knows when it has come and every few seconds after that; one that fails is asked after longer and
 * longer pauses.
 */

import { createHash } from 'node:crypto'

import type { IdentifyResult, Libp2pEvents, PeerId, TypedEventTarget } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'

import type { ControlPlaneSnapshot } from '../schema/records/network/index.js'
import type { Admission } from './admission/admission.js'
import { readSnapshot } from './control/client.js'
import { asPeerError } from './control/exchange.js'
import {
  AdmissionRefusedError,
  PeerBannedError,
  PeerTimeoutError,
  PeerUnreachableError,
  type P2pError,
} from './errors.js'
import type { Conduct } from './conduct.js'
import {
  ADMISSION_PATIENCE_MS,
  MAX_UNADMITTED_MS,
  REDIAL_LAST_MS,
  SNAPSHOT_INTERVAL_MS,
} from './limits.js'

/** What is done with and by connected peers. */
export interface PeersParts {
  readonly connections: Pick<ConnectionManager, 'getConnections'>
  readonly events: TypedEventTarget<Libp2pEvents>
  /** The control protocol of the network, and ours for admission. */
  readonly protocol: string
  readonly admissionProtocol: string
  /** Ours for chunks. */
  readonly transferProtocol: string
  readonly admission: Admission | undefined
  readonly conduct: Conduct
  readonly snapshotResponse: (peerId: string) => Promise<Uint8Array>
  /** Asks a peer of ours for a proof over a fresh nonce. */
  readonly askForProof: (peerId: string) => Promise<void>
  /** Takes note of what a peer knows. */
  readonly onSnapshot: (snapshot: ControlPlaneSnapshot) => void
  readonly onLeave: (peerId: string) => void
  readonly onProblem: (error: P2pError) => void
}

/** A connected peer that speaks the protocol of the network. */
export interface Connected {
  readonly since: number
  agent: string
  /** Whether it proves itself over a nonce of ours. */
  provesFresh: boolean
  /** Whether it serves chunks as they are. */
  transfers: boolean
  admitted: boolean
  answeredInMs: number | undefined
  /** Hash of the last snapshot that was read. */
  snapshotHash: string | undefined
  asking: boolean
  failures: number
  /** Not asked before this time, of `performance.now()`. */
  nextAsk: number
}

/** Requests that wait for the same peer. */
interface Waiting {
  readonly promise: Promise<void>
  readonly end: (error: Error | undefined) => void
}

export class Peers {
  readonly #parts: PeersParts
  readonly #peers = new Map<string, Connected>()
  /** Requests that wait for the admission of their peer. */
  readonly #waiting = new Map<string, Waiting>()
  #timer: NodeJS.Timeout | undefined

  constructor(parts: PeersParts) {
    this.#parts = parts
  }

  /** Those that may take part. */
  get admitted(): [string, Connected][] {
    return [...this.#peers].filter(([, { admitted }]) => admitted)
  }

  start(): void {
    const { events } = this.#parts
    events.addEventListener('peer:connect', this.#onConnect)
    events.addEventListener('peer:identify', this.#onIdentify)
    events.addEventListener('peer:disconnect', this.#onDisconnect)
    this.#timer = setInterval(() => this.#askAll(), SNAPSHOT_INTERVAL_MS)
    this.#timer.unref()
  }

  /** Asks no more. */
  pause(): void {
    clearInterval(this.#timer)
  }

  stop(): void {
    const { events } = this.#parts
    events.removeEventListener('peer:connect', this.#onConnect)
    events.removeEventListener('peer:identify', this.#onIdentify)
    events.removeEventListener('peer:disconnect', this.#onDisconnect)
    for (const { end } of this.#waiting.values()) end(new Error('this peer is stopping'))
    this.#waiting.clear()
    this.#peers.clear()
  }

  /** Whether a peer serves chunks by the protocol of ours. */
  transfers(peerId: string): boolean {
    return this.#peers.get(peerId)?.transfers ?? false
  }

  /** Whether a peer may take part, as far as that is known. */
  isAdmitted(peerId: string): boolean {
    return this.#parts.admission === undefined || (this.#peers.get(peerId)?.admitted ?? false)
  }

  /**
   * Waits until a peer is admitted.
   *
   * @throws PeerBannedError when it was refused; PeerTimeoutError
   */
  async untilAdmitted(peerId: string): Promise<void> {
    this.checkBan(peerId)
    if (this.isAdmitted(peerId)) return
    const waiting = this.#waiting.get(peerId) ?? this.#wait(peerId)
    await waiting.promise
  }

  #wait(peerId: string): Waiting {
    let end: Waiting['end'] = () => undefined
    const promise = new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        const text = `${peerId} was not admitted in ${ADMISSION_PATIENCE_MS} ms`
        this.#settle(peerId, new PeerTimeoutError(text, peerId))
      }, ADMISSION_PATIENCE_MS)
      late.unref()
      end = (error) => {
        clearTimeout(late)
        if (error === undefined) resolve()
        else reject(error)
      }
    })
    const waiting = { promise, end }
    this.#waiting.set(peerId, waiting)
    return waiting
  }

  /** @throws PeerBannedError */
  checkBan(peerId: string): void {
    const ban = this.#parts.conduct.banOf(peerId)
    if (ban !== undefined) throw new PeerBannedError(peerId, ban)
  }

  /** Closes every connection with a peer at once. */
  disconnect(peerId: string): void {
    const ban = this.#parts.conduct.banOf(peerId)
    if (ban !== undefined) this.#settle(peerId, new PeerBannedError(peerId, ban))
    for (const connection of this.#parts.connections.getConnections()) {
      if (connection.remotePeer.toString() !== peerId) continue
      connection.abort(new Error(ban?.reason ?? 'not wanted'))
    }
  }

  readonly #onConnect = ({ detail }: CustomEvent<PeerId>): void => {
    const peerId = detail.toString()
    if (this.#parts.conduct.banOf(peerId) !== undefined) this.disconnect(peerId)
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const { peerId: id, protocols, agentVersion = '' } = detail
    const peerId = id.toString()
    if (!protocols.includes(this.#parts.protocol)) return
    if (this.#parts.conduct.banOf(peerId) !== undefined) return
    const provesFresh = protocols.includes(this.#parts.admissionProtocol)
    const transfers = protocols.includes(this.#parts.transferProtocol)
    const known = this.#peers.get(peerId)
    if (known !== undefined) {
      known.transfers = transfers
      known.agent = agentVersion
      known.provesFresh ||= provesFresh
      return
    }
    this.#peers.set(peerId, {
      ...{ since: Date.now(), agent: agentVersion, provesFresh, transfers, asking: false },
      ...{ admitted: this.#parts.admission === undefined, answeredInMs: undefined },
      ...{ snapshotHash: undefined, failures: 0, nextAsk: 0 },
    })
    this.#ask(peerId)
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    const peerId = detail.toString()
    this.#peers.delete(peerId)
    this.#parts.onLeave(peerId)
  }

  #askAll(): void {
    for (const [peerId, peer] of this.#peers) {
      if (this.#stillHolds(peerId, peer)) this.#ask(peerId)
    }
  }

  /** Sends away those whose certificate holds no longer, and those that never showed one. */
  #stillHolds(peerId: string, peer: Connected): boolean {
    if (!peer.admitted && Date.now() - peer.since > MAX_UNADMITTED_MS) {
      this.#parts.onProblem(new AdmissionRefusedError(peerId, 'missing', 'it shows no certificate'))
      return false
    }
    try {
      if (peer.admitted) this.#parts.admission?.recheck(peerId)
      return true
    } catch (error) {
      if (!(error instanceof AdmissionRefusedError)) throw error
      this.#parts.onProblem(error)
      return false
    }
  }

  /** Checks the connected peers again: one of them may have been revoked. */
  recheck(): void {
    for (const [peerId, peer] of this.#peers) this.#stillHolds(peerId, peer)
  }

  /** Asks a peer for all that it knows, unless it still owes the last answer or is given a rest. */
  #ask(peerId: string): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined || peer.asking || performance.now() < peer.nextAsk) return
    peer.asking = true
    this.#learn(peerId, peer)
      .then(() => (peer.failures = 0))
      .catch((error: unknown) => {
        const pause = Math.min(1000 * 2 ** peer.failures++, REDIAL_LAST_MS)
        peer.nextAsk = performance.now() + pause
        const problem = asPeerError(error, peerId)
        // One that is leaving fails once.
        const isLeaving = problem instanceof PeerUnreachableError && peer.failures < 2
        if (!isLeaving && this.#peers.get(peerId) === peer) this.#parts.onProblem(problem)
      })
      .finally(() => (peer.asking = false))
  }

  async #learn(peerId: string, peer: Connected): Promise<void> {
    if (!peer.admitted && peer.provesFresh) {
      await this.#parts.askForProof(peerId)
      this.#admit(peerId, peer)
    }
    const start = performance.now()
    const response = await this.#parts.snapshotResponse(peerId)
    peer.answeredInMs = performance.now() - start
    const hash = createHash('sha256').update(response).digest('base64')
    if (hash === peer.snapshotHash) return
    const snapshot = readSnapshot(peerId, response)
    if (!peer.admitted) {
      this.#checkPresentation(peerId, snapshot)
      this.#admit(peerId, peer)
    }
    // It has left or was banned meanwhile.
    if (this.#peers.get(peerId) !== peer) return
    peer.snapshotHash = hash
    this.#parts.onSnapshot(snapshot)
  }

  /** Peers of the reference present themselves in their snapshot, over a nonce of their own; TLS has proved their key afresh. */
  #checkPresentation(peerId: string, snapshot: ControlPlaneSnapshot): void {
    const shown = snapshot.auth_announcements.filter(({ peer_id }) => peer_id === peerId)
    let refusal = new AdmissionRefusedError(peerId, 'missing', 'it shows no certificate')
    for (const { envelope } of shown) {
      try {
        this.#parts.admission?.check(envelope, peerId)
        return
      } catch (error) {
        if (!(error instanceof AdmissionRefusedError)) throw error
        refusal = error
      }
    }
    throw refusal
  }

  #admit(peerId: string, peer: Connected): void {
    peer.admitted = true
    this.#settle(peerId, undefined)
  }

  #settle(peerId: string, error: P2pError | undefined): void {
    const waiting = this.#waiting.get(peerId)
    this.#waiting.delete(peerId)
    waiting?.end(error)
  }
}
