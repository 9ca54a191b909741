/** What the service of a peer is told, what it uses of its node, and what it tells of other peers. */

import type { GossipSub } from '@libp2p/gossipsub'
import type { Libp2pEvents, PeerId, PrivateKey, TypedEventTarget } from '@libp2p/interface'
import type { AddressManager, ConnectionManager, Registrar } from '@libp2p/interface-internal'

import type { PeerRole } from '../schema/records/network/index.js'
import type { FsArtifactStore } from '../store/index.js'
import type { SwarmPeer } from '../swarm/index.js'
import type { AdmissionOptions } from './admission/admission.js'
import type { DiLoCoAnswer } from './control/server.js'
import type { P2pError } from './errors.js'
import type { ExperimentScope } from './gossip.js'

/** What the service uses of its node. `pubsub` is gossipsub, configured by `gossipOptions()`. */
export interface TrainingComponents {
  readonly peerId: PeerId
  readonly privateKey: PrivateKey
  readonly registrar: Registrar
  readonly connectionManager: ConnectionManager
  readonly addressManager: AddressManager
  readonly events: TypedEventTarget<Libp2pEvents>
  readonly pubsub: GossipSub
}

/** What a peer does in its network. */
export interface TrainingOptions {
  /** The network's id, a text without a slash. */
  readonly network: string
  /** The experiments that it takes part in; more can be joined later. */
  readonly experiments: readonly ExperimentScope[]
  /** What it is for. Peers of the reference take one without a role for a validator. */
  readonly roles: readonly PeerRole[]
  /** Where artifacts are served from and fetched into. */
  readonly store: FsArtifactStore
  /** Folder of what the peer remembers; made when it does not exist. */
  readonly stateFolder: string
  /** Multiaddresses of peers to stay connected with. */
  readonly bootstrap?: readonly string[] | undefined
  /** Takes part with a certificate, and with peers that have one; default: with everyone who knows the network's id. */
  readonly admission?: AdmissionOptions | undefined
  /** Answers questions of DiLoCo rounds; default: takes no part. */
  readonly diLoCo?: DiLoCoAnswer | undefined
  /** Told of what peers did wrong and of what could not be sent; default: nothing is told. */
  readonly onProblem?: ((error: P2pError) => void) | undefined
}

/** A peer that this one is connected with. */
export interface ConnectedPeer extends SwarmPeer {
  /** How the peer's program calls itself. */
  readonly agent: string
}
