/** Opening streams to peers that are known by their announcements alone, as those are of whom a hub told. */

import type { Stream } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import type { Multiaddr } from '@multiformats/multiaddr'

import type { KnownAnnouncements } from '../swarm/index.js'
import { streamOpener } from './control/exchange.js'

/**
 * Opens streams of a protocol to a peer; one that is not connected is dialled at the addresses that were announced for it.
 * Who answers there has to prove that it is that peer.
 */
export function openerByAnnouncements(
  connections: ConnectionManager,
  protocol: string,
  announcements: KnownAnnouncements,
): (peerId: string, signal: AbortSignal) => Promise<Stream> {
  const open = streamOpener(connections, protocol)
  return async (peerId, signal) => {
    const isConnected = connections
      .getConnections()
      .some(({ remotePeer, status }) => status === 'open' && remotePeer.toString() === peerId)
    if (!isConnected) {
      const addresses = await addressesOf(peerId, announcements)
      if (addresses.length > 0) await connections.openConnection(addresses, { signal })
    }
    return open(peerId, signal)
  }
}

/** The addresses that were announced for a peer and can be read, each with its id. */
export async function addressesOf(
  peerId: string,
  announcements: KnownAnnouncements,
): Promise<Multiaddr[]> {
  const { multiaddr } = await import('@multiformats/multiaddr')
  const directory = announcements.of('PeerDirectory').filter(({ peer_id }) => peer_id === peerId)
  return directory
    .flatMap(({ addresses }) => addresses)
    .flatMap((text) => {
      try {
        const address = multiaddr(text)
        const id = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
        if (id === undefined) return [address.encapsulate(`/p2p/${peerId}`)]
        return id === peerId ? [address] : []
      } catch {
        return []
      }
    })
}
