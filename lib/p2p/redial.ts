/** Stays connected with chosen peers: dials those that are not, with pauses that double and differ from peer to peer. */

import type { ConnectionManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

import { ConfigError } from '../errors.js'
import { PeerUnreachableError, type P2pError } from './errors.js'
import { REDIAL_FIRST_MS, REDIAL_LAST_MS, REDIAL_TICK_MS } from './limits.js'

/** A peer to stay connected with. */
interface Target {
  readonly text: string
  readonly address: Multiaddr
  peerId: string | undefined
  failures: number
  /** Not before this time, of `performance.now()`. */
  next: number
  dialling: boolean
}

export class Redialer {
  readonly #connections: Pick<ConnectionManager, 'openConnection' | 'getConnections'>
  readonly #addresses: readonly string[]
  readonly #onFailure: (error: P2pError) => void
  readonly #isBanned: (peerId: string) => boolean
  #targets: Target[] = []
  #timer: NodeJS.Timeout | undefined

  /**
   * @param onFailure told when a peer that could be reached, or was not tried yet, cannot be
   * @param isBanned whether a peer is kept away, and not dialled
   */
  constructor(
    connections: Pick<ConnectionManager, 'openConnection' | 'getConnections'>,
    addresses: readonly string[],
    onFailure: (error: P2pError) => void,
    isBanned: (peerId: string) => boolean,
  ) {
    this.#isBanned = isBanned
    this.#connections = connections
    this.#addresses = addresses
    this.#onFailure = onFailure
  }

  start(): void {
    if (this.#addresses.length === 0) return
    this.#timer = setInterval(() => this.#dialMissing(), REDIAL_TICK_MS)
    this.#timer.unref()
    this.#prepare().then(
      () => this.#dialMissing(),
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error)
        this.#onFailure(new PeerUnreachableError(reason, '', { cause: error }))
      },
    )
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#targets = []
  }

  async #prepare(): Promise<void> {
    const { multiaddr } = await import('@multiformats/multiaddr')
    this.#targets = this.#addresses.map((text) => {
      const address = multiaddr(text)
      const peerId = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
      return { text, address, peerId, failures: 0, next: 0, dialling: false }
    })
  }

  #dialMissing(): void {
    const connected = new Set(
      this.#connections.getConnections().map(({ remotePeer }) => remotePeer.toString()),
    )
    for (const target of this.#targets) {
      const isConnected = target.peerId !== undefined && connected.has(target.peerId)
      if (isConnected || target.dialling || performance.now() < target.next) continue
      if (target.peerId !== undefined && this.#isBanned(target.peerId)) continue
      void this.#dial(target)
    }
  }

  async #dial(target: Target): Promise<void> {
    target.dialling = true
    try {
      const { remotePeer } = await this.#connections.openConnection(target.address)
      target.peerId = remotePeer.toString()
      target.failures = 0
      target.next = performance.now() + REDIAL_FIRST_MS * (1 + Math.random())
    } catch (cause) {
      const pause = Math.min(REDIAL_FIRST_MS * 2 ** target.failures, REDIAL_LAST_MS)
      // So that two that dial each other at the same time do not meet again.
      target.next = performance.now() + pause * (0.5 + Math.random())
      if (target.failures === 0) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        const text = `Cannot connect with ${target.text}: ${reason}; trying again`
        this.#onFailure(new PeerUnreachableError(text, target.peerId ?? '', { cause }))
      }
      target.failures += 1
    } finally {
      target.dialling = false
    }
  }
}

/**
 * The addresses, all of which can be read.
 *
 * @throws ConfigError listing those that cannot
 */
export async function checkedAddresses(addresses: readonly string[]): Promise<readonly string[]> {
  const { multiaddr } = await import('@multiformats/multiaddr')
  const issues = addresses.flatMap((address, index) => {
    try {
      multiaddr(address)
      return []
    } catch {
      const message = `${JSON.stringify(address)} is no multiaddress, such as /ip4/192.0.2.1/tcp/4001/p2p/12D3Koo…`
      return [{ path: `[${index}]`, message }]
    }
  })
  if (issues.length > 0) throw new ConfigError('Cannot read the addresses of peers', issues)
  return addresses
}
