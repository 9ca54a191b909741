/**
 * torchbed/p2p: a peer of a `burn_p2p` network on js-libp2p. Peers of the Rust implementation take it for one of their own:
 * it knows what they announce, they know what it announces, and artifacts go both ways.
 *
 * {@link createNode} makes a whole peer from a folder. {@link training} is the same as a service for a js-libp2p node of
 * your own. js-libp2p is an optional peer dependency; an error names the packages that are missing.
 *
 * @packageDocumentation
 */

export { type AdmissionOptions } from './admission/admission.js'
export {
  acceptInvite,
  createInvite,
  isInvite,
  membershipOf,
  readInvite,
  type Invite,
} from './admission/invite.js'
export { openIssuer, type Grant, type Issuer, type NetworkTerms } from './admission/issuer.js'
export { type Ban, type Fault, type PeerConduct } from './conduct.js'
export { type ControlClient } from './control/client.js'
export { type RequestOptions } from './control/exchange.js'
export { type DiLoCoAnswer } from './control/server.js'
export { createNode, type NodeOptions, type TrainingNode } from './create-node.js'
export {
  AdmissionRefusedError,
  MessageTooLargeError,
  P2pError,
  P2pPackageMissingError,
  PeerBannedError,
  PeerIdentityError,
  PeerProtocolError,
  PeerTimeoutError,
  PeerUnreachableError,
  RemotePeerError,
  type AdmissionReason,
} from './errors.js'
export { gossipOptions, type ExperimentScope } from './gossip.js'
export { type NodeServices } from './node.js'
export {
  type ConnectedPeer,
  type TrainingComponents,
  type TrainingOptions,
} from './service-options.js'
export { training, type TrainingService } from './service.js'
