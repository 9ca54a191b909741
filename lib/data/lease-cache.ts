/** Leases by window and peer (spec planning#leases). */

import { compareUtf8, type AssignmentLease, type PeerId, type WindowId } from '../schema/index.js'

/** Keeps the latest lease of each peer in each window, in memory. */
export class LeaseCache {
  readonly #windows = new Map<WindowId, Map<PeerId, AssignmentLease>>()

  /** Keeps a lease under its own window and peer. Returns the lease that it replaced. */
  insert(lease: AssignmentLease): AssignmentLease | undefined {
    const peers = this.#windows.get(lease.window_id) ?? new Map<PeerId, AssignmentLease>()
    const replaced = peers.get(lease.peer_id)
    peers.set(lease.peer_id, lease)
    this.#windows.set(lease.window_id, peers)
    return replaced
  }

  /** The lease of a peer in a window, where one is known. */
  get(window: WindowId, peer: PeerId): AssignmentLease | undefined {
    return this.#windows.get(window)?.get(peer)
  }

  /** The leases of a window, in the order of their peers' ids. */
  leasesForWindow(window: WindowId): readonly AssignmentLease[] {
    const peers = this.#windows.get(window)
    if (!peers) return []
    return [...peers.values()].sort((a, b) => compareUtf8(a.peer_id, b.peer_id))
  }

  /** Drops all windows before this one. Returns how many windows, not leases, were dropped. */
  evictBefore(window: WindowId): number {
    const earlier = [...this.#windows.keys()].filter((key) => key < window)
    for (const key of earlier) this.#windows.delete(key)
    return earlier.length
  }
}
