/**
 * torchbed/swarm: what a role needs of the peers around it, the records that peers announce, and peers that share a process.
 * `torchbed/p2p` has peers on a network.
 *
 * @packageDocumentation
 */

export { Announcements, type AnnouncementListener } from './announcements.js'
export { archiveHeads, type ArchiveOptions } from './archive.js'
export { ArtifactUnavailableError } from './errors.js'
export type { AnnouncementOf } from './kinds.js'
export { LocalNetwork, LocalSwarm, type LocalSwarmOptions } from './local.js'
export type { KnownAnnouncements, Swarm, SwarmPeer } from './swarm.js'
export * from '../schema/records/network/index.js'
