/** A whole peer from a folder: key, store, libp2p node and network service. */

import { join } from 'node:path'

import type { Libp2p } from '@libp2p/interface'

import { makeFolder } from '../files/make-folder.js'
import { FsArtifactStore } from '../store/index.js'
import { loadOrCreateIdentity } from './identity.js'
import { createLibp2pNode, type NodeServices } from './node.js'
import { needingPackages } from './packages.js'
import { checkedAddresses } from './redial.js'
import type { TrainingOptions } from './service-options.js'
import { training, type TrainingService } from './service.js'

/** How a peer is made. */
export interface NodeOptions extends Omit<TrainingOptions, 'store' | 'stateFolder'> {
  /** Folder of the peer: `state/identity.key` and what it remembers, and the store's folders. Made when it does not exist. */
  readonly folder: string
  /** Default: a store in the folder. */
  readonly store?: FsArtifactStore | undefined
  /** Multiaddresses to listen on; default: a free TCP port of 127.0.0.1. */
  readonly listen?: readonly string[] | undefined
  /** Addresses to announce in place of those that are listened on. */
  readonly announce?: readonly string[] | undefined
  /** Most connections. Default `MAX_CONNECTIONS`. */
  readonly maxConnections?: number | undefined
}

/** A peer of a network. */
export interface TrainingNode extends AsyncDisposable {
  readonly libp2p: Libp2p<NodeServices & { readonly training: TrainingService }>
  readonly training: TrainingService
  /** Where others reach it: multiaddresses with its id. */
  readonly addresses: readonly string[]
  /** Closes all connections; what it knows is on the disk then. */
  stop(): Promise<void>
}

/**
 * Makes a peer and starts it.
 *
 * @throws P2pPackageMissingError, PeerIdentityError, ConfigError; the error of an address that cannot be listened on
 */
export async function createNode(options: NodeOptions): Promise<TrainingNode> {
  const { folder, listen, announce, maxConnections, ...rest } = options
  const stateFolder = join(folder, 'state')
  await makeFolder(stateFolder)
  const store = options.store ?? new FsArtifactStore(folder)
  const privateKey = await loadOrCreateIdentity(join(stateFolder, 'identity.key'))
  await needingPackages(() => checkedAddresses(options.bootstrap ?? []))
  const libp2p = await createLibp2pNode<{ training: TrainingService }>({
    ...{ network: options.network, privateKey, listen, announce, maxConnections },
    services: { training: training({ ...rest, store, stateFolder }) },
  })
  const stop = async () => {
    await libp2p.stop()
  }
  return {
    libp2p,
    training: libp2p.services.training,
    get addresses() {
      return libp2p.getMultiaddrs().map(String)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
