/**
 * A libp2p node as peers of burn_p2p expect one: TCP with TLS and yamux, identify, ping, gossipsub with signed messages, and
 * at most one connection to a peer (spec network).
 */

import type { ConnectionGater, Ed25519PrivateKey, Libp2p, PeerId } from '@libp2p/interface'
import type { GossipSub } from '@libp2p/gossipsub'
import type { Identify, IdentifyPush } from '@libp2p/identify'
import type { Ping } from '@libp2p/ping'
import type { ServiceFactoryMap } from 'libp2p'

import { gossipOptions } from './gossip.js'
import { DIAL_TIMEOUT_MS, MAX_CONNECTIONS, MAX_STREAM_BUFFER_BYTES } from './limits.js'
import { controlProtocol } from './names.js'
import { loadLibp2p } from './packages.js'

/** The services that every node has. */
export interface NodeServices extends Record<string, unknown> {
  readonly identify: Identify
  readonly identifyPush: IdentifyPush
  readonly ping: Ping
  readonly pubsub: GossipSub
}

/** What a service of a node is given. */
export type NodeComponents = Parameters<ServiceFactoryMap[string]>[0] & NodeServices

/** How a node is composed. */
export interface Libp2pNodeOptions<T extends Record<string, unknown>> {
  /** The network's id. */
  readonly network: string
  readonly privateKey: Ed25519PrivateKey
  /** Multiaddresses to listen on; default: a free port of 127.0.0.1. An empty list only dials. */
  readonly listen?: readonly string[] | undefined
  /** Addresses to announce in place of those that are listened on. */
  readonly announce?: readonly string[] | undefined
  /** Most connections. Default {@link MAX_CONNECTIONS}. */
  readonly maxConnections?: number | undefined
  /** Further services; `pubsub` and the others of {@link NodeServices} are among their components. */
  readonly services?: { readonly [K in keyof T]: (components: NodeComponents) => T[K] } | undefined
}

/** Where a node listens when it is not told: like a peer of burn_p2p, where other machines do not see it. */
const DEFAULT_LISTEN = ['/ip4/127.0.0.1/tcp/0']

/**
 * Makes a node and starts it.
 *
 * @throws P2pPackageMissingError; ConfigError for a network id with a slash; js-libp2p's error for an address that cannot be
 *   listened on
 */
export async function createLibp2pNode<T extends Record<string, unknown>>(
  options: Libp2pNodeOptions<T>,
): Promise<Libp2p<NodeServices & T>> {
  const packages = await loadLibp2p()
  const { createLibp2p, tcp, webSockets, tls, noise, yamux, ...services } = packages
  const protocolVersion = `${controlProtocol(options.network)}/identify/1.0.0`
  const gater = new OneConnection()
  const node = await createLibp2p<NodeServices & T>({
    privateKey: options.privateKey,
    addresses: {
      listen: [...(options.listen ?? DEFAULT_LISTEN)],
      ...(options.announce && { announce: [...options.announce] }),
    },
    transports: [tcp(), webSockets()],
    // TLS first: it is all that peers of the reference offer over TCP. Noise is for WebSocket.
    connectionEncrypters: [tls(), noise()],
    streamMuxers: [yamux({ streamOptions: { maxReadBufferLength: MAX_STREAM_BUFFER_BYTES } })],
    connectionGater: gater,
    connectionManager: {
      maxConnections: options.maxConnections ?? MAX_CONNECTIONS,
      dialTimeout: DIAL_TIMEOUT_MS,
      // What is kept alive is dialled again by the network service, which knows the other addresses of a peer.
      reconnectRetries: 0,
    },
    services: {
      identify: services.identify(),
      identifyPush: services.identifyPush(),
      ping: services.ping(),
      pubsub: services.gossipsub(gossipOptions()),
      ...options.services,
    } as unknown as ServiceFactoryMap<NodeServices & T>,
    nodeInfo: { name: 'torchbed', userAgent: `torchbed ${protocolVersion}` },
    start: false,
  })
  gater.watch(node)
  await node.start()
  return node
}

/**
 * Refuses a second connection to a peer, as peers of the reference do. When two dial each other at the same time both may
 * be refused; they dial again after a pause that differs.
 */
class OneConnection implements ConnectionGater {
  #node: Libp2p | undefined

  watch(node: Libp2p): void {
    this.#node = node
  }

  denyInboundUpgradedConnection(peerId: PeerId): boolean {
    return this.#isConnected(peerId)
  }

  denyOutboundUpgradedConnection(peerId: PeerId): boolean {
    return this.#isConnected(peerId)
  }

  #isConnected(peerId: PeerId): boolean {
    return this.#node?.getConnections(peerId).some(({ status }) => status === 'open') ?? false
  }
}
