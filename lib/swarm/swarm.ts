/**
 * The swarm contract: what a role needs of the peers around it, whatever carries it. A trainer, a validator or an exchange
 * of DiLoCo is a loop over {@link KnownAnnouncements}; it runs on `LocalNetwork` in one process and on `torchbed/p2p`
 * over a network. One suite of tests holds every implementation to it: `test/swarm/contract.ts`.
 *
 * Announcements are records of `burn_p2p`'s network ([network](../../docs/reference/spec/network.md)). What others announced
 * is hostile until a role has checked it; a swarm checks only that it is a record, and bounds how many it keeps.
 */

import type { OperationOptions } from '../core/abort.js'
import type { ArtifactDescriptor, ArtifactId, PeerId } from '../schema/index.js'
import type { PeerRole, PubsubKind, PubsubPayload } from '../schema/records/network/index.js'
import type { FetchOptions, FetchReport, FsArtifactStore } from '../store/index.js'
import type { AnnouncementOf } from './kinds.js'

/** All that a peer knows of its network, own announcements included, each once. */
export interface KnownAnnouncements {
  /** The records of a kind that are known now, in the order in which they came or changed. */
  of<K extends PubsubKind>(kind: K): AnnouncementOf<K>[]
  /**
   * Those known and those to come, again when one changes. A consumer that is slow gets the latest of each, and no more
   * of them than are kept. Ends when the peer leaves.
   *
   * @throws AbortError when the signal fires
   */
  follow<K extends PubsubKind>(
    kind: K,
    options?: OperationOptions,
  ): AsyncGenerator<AnnouncementOf<K>, void>
  /** Tells at once of every announcement that is new or has changed; returns what ends that. The listener throws nothing. */
  listen(listener: (announcement: PubsubPayload) => void): () => void
}

/** Another peer that can be reached now. */
export interface SwarmPeer {
  readonly peerId: PeerId
  /** What it says that it is for; undefined while it has not said so. */
  readonly roles: readonly PeerRole[] | undefined
  /** Since when, in milliseconds since 1970. */
  readonly since: number
  /** Milliseconds that its last answer took; undefined before the first, and where nothing has to be asked. */
  readonly answeredInMs: number | undefined
}

/** A peer's place among the others of its network. Whoever made it ends it; roles only use it. */
export interface Swarm {
  readonly peerId: PeerId
  /** The network's id. */
  readonly network: string
  /** Where artifacts are provided from and fetched into. */
  readonly store: FsArtifactStore
  readonly announcements: KnownAnnouncements
  /** The peers that can be reached now. */
  readonly peers: readonly SwarmPeer[]
  /**
   * Makes an announcement known to all. Settles when this peer will know it after a restart, not when others have it.
   *
   * @throws ConfigError when it is no record; the system's error when the disk refuses
   */
  announce(announcement: PubsubPayload): Promise<void>
  /** Offers an artifact of the store to others until the returned function is called; nothing else is served. */
  provide(artifact: ArtifactDescriptor): () => void
  /**
   * Fetches what the store lacks of an artifact, from all of the peers at once, each chunk verified. An interrupted fetch
   * goes on where it was.
   *
   * @throws ArtifactUnavailableError when none of the peers offers it; as `fetchArtifact`
   */
  fetch(artifact: ArtifactId, from: readonly PeerId[], options?: FetchOptions): Promise<FetchReport>
}
