/** Peers of one process: what one announces the others know at once, and artifacts go from store to store. */

import { ConfigError } from '../errors.js'
import { timestampNow, type ArtifactDescriptor, type PeerId } from '../schema/index.js'
import type { PeerRole, PubsubPayload } from '../schema/records/network/index.js'
import type { FetchOptions, FetchReport, FsArtifactStore } from '../store/index.js'
import { Announcements } from './announcements.js'
import { fetchFrom, type Provider } from './fetch.js'
import type { Swarm, SwarmPeer } from './swarm.js'
import { KINDS_IN_ORDER } from './kinds.js'
import { ProvidedArtifacts } from './provided.js'

/** What a peer brings along. */
export interface LocalSwarmOptions {
  /** Peers may share a store; nothing is fetched between those that do. */
  readonly store: FsArtifactStore
  readonly roles: readonly PeerRole[]
}

/** A network whose peers are in this process. */
export class LocalNetwork {
  readonly #members = new Map<PeerId, LocalSwarm>()

  constructor(readonly network: string) {}

  /**
   * A new peer, which knows from the start what the others know.
   *
   * @throws ConfigError when there is a peer of that id
   */
  join(peerId: PeerId, options: LocalSwarmOptions): LocalSwarm {
    if (this.#members.has(peerId)) {
      const message = `there is a peer ${JSON.stringify(peerId)} in the network already`
      throw new ConfigError('Cannot join', [{ path: 'peerId', message }])
    }
    const swarm = new LocalSwarm(peerId, this.network, options, this.#members)
    for (const { announcements } of this.#members.values()) {
      for (const kind of KINDS_IN_ORDER) {
        for (const record of announcements.of(kind)) {
          swarm.announcements.add({ [kind]: record } as unknown as PubsubPayload)
        }
      }
    }
    this.#members.set(peerId, swarm)
    swarm.tell({
      PeerDirectory: {
        network_id: this.network,
        peer_id: peerId,
        addresses: [],
        advertised_roles: { roles: [...options.roles] },
        announced_at: timestampNow(),
      },
    })
    return swarm
  }
}

/** A peer of a {@link LocalNetwork}. */
export class LocalSwarm implements Swarm {
  readonly announcements = new Announcements()
  readonly store: FsArtifactStore
  readonly #roles: readonly PeerRole[]
  readonly #artifacts: ProvidedArtifacts
  readonly #members: Map<PeerId, LocalSwarm>
  readonly #since = Date.now()

  /** @internal {@link LocalNetwork.join} makes it. */
  constructor(
    readonly peerId: PeerId,
    readonly network: string,
    { store, roles }: LocalSwarmOptions,
    members: Map<PeerId, LocalSwarm>,
  ) {
    this.store = store
    this.#roles = roles
    this.#artifacts = new ProvidedArtifacts(store)
    this.#members = members
  }

  get peers(): readonly SwarmPeer[] {
    return [...this.#members.values()].filter((other) => other !== this).map((other) => other.#face)
  }

  get #face(): SwarmPeer {
    return { peerId: this.peerId, roles: this.#roles, since: this.#since, answeredInMs: undefined }
  }

  /** Others know it when this settles; none keeps it over a restart, as the process is all there is. */
  // eslint-disable-next-line @typescript-eslint/require-await -- What it throws is a rejection, as over a network.
  async announce(announcement: PubsubPayload): Promise<void> {
    this.tell(announcement)
  }

  /** @internal As {@link announce}, at once. */
  tell(announcement: PubsubPayload): void {
    this.announcements.add(announcement)
    for (const other of this.#members.values()) {
      if (other !== this) other.announcements.add(announcement)
    }
  }

  provide(artifact: ArtifactDescriptor): () => void {
    return this.#artifacts.provide(artifact)
  }

  async fetch(
    artifact: string,
    from: readonly PeerId[],
    options: FetchOptions = {},
  ): Promise<FetchReport> {
    const providers = from
      .filter((peerId) => peerId !== this.peerId)
      .map((peerId) => this.#provider(peerId))
    return fetchFrom(this.store, artifact, providers, options)
  }

  #provider(name: PeerId): Provider {
    const offers = () => {
      const member = this.#members.get(name)
      return member === undefined ? new ProvidedArtifacts(this.store) : member.#artifacts
    }
    return {
      name,
      manifest: (artifactId) => Promise.resolve(offers().descriptor(artifactId)),
      fetchChunk: async ({ artifact_id }, { chunk_id }) =>
        (await offers().chunk(artifact_id, chunk_id))?.bytes ?? null,
    }
  }

  /** Ends what follows its announcements; others no longer reach it. */
  leave(): void {
    if (this.#members.get(this.peerId) === this) this.#members.delete(this.peerId)
    this.announcements.end()
  }
}
