/**
 * The network of a peer as a service of libp2p: it tells what this peer announces, knows what others announced, offers artifacts
 * and fetches them. Add it to a node of your own with `createLibp2p({ services: { pubsub: gossipsub(gossipOptions()), training:
 * training(options) } })`, or let `createNode` do both.
 *
 * What arrives by gossip may be lost; what a peer knows is asked of it when it connects and every few seconds, so that nothing
 * stays unknown for long. A response that has not changed costs a hash.
 */

import { createHash } from 'node:crypto'
import { join } from 'node:path'

import type { GossipSub } from '@libp2p/gossipsub'
import type {
  IdentifyResult,
  Libp2pEvents,
  PeerId,
  Startable,
  TypedEventTarget,
} from '@libp2p/interface'
import type { AddressManager, ConnectionManager, Registrar } from '@libp2p/interface-internal'

import { makeFolder } from '../files/make-folder.js'
import { timestampNow, type ArtifactDescriptor } from '../schema/index.js'
import type { PeerRole, PubsubPayload } from '../schema/records/network/index.js'
import type { FetchOptions, FetchReport, FsArtifactStore } from '../store/index.js'
import { Announcements } from '../swarm/announcements.js'
import { fetchFrom, type Provider } from '../swarm/fetch.js'
import type { Swarm, SwarmPeer } from '../swarm/index.js'
import { ProvidedArtifacts } from '../swarm/provided.js'
import { ControlClient, readSnapshot } from './control/client.js'
import { answerRequests, asPeerError, exchange } from './control/exchange.js'
import { controlAnswer, type DiLoCoAnswer } from './control/server.js'
import { MessageTooLargeError, type P2pError } from './errors.js'
import { Gossip, type ExperimentScope } from './gossip.js'
import { Introductions } from './introductions.js'
import { openerByAnnouncements } from './known-addresses.js'
import { CHUNK_REQUESTS_PER_PEER, SNAPSHOT_INTERVAL_MS } from './limits.js'
import { controlProtocol } from './names.js'
import { installWithResolvers } from './packages.js'
import { Redialer } from './redial.js'
import { StateFile } from './state-file.js'

/** What the service uses of its node. `pubsub` is gossipsub, configured by `gossipOptions()`. */
export interface TrainingComponents {
  readonly peerId: PeerId
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

/** The service `training` for `createLibp2p`. */
export function training(
  options: TrainingOptions,
): (components: TrainingComponents) => TrainingService {
  installWithResolvers()
  return (components) => new TrainingService(components, options)
}

interface Connected {
  readonly since: number
  agent: string
  answeredInMs: number | undefined
  /** Hash of the last snapshot that was read. */
  snapshotHash: string | undefined
  asking: boolean
}

/**
 * The service `training` of a node: what this peer announces, what it knows of others, and its artifacts. libp2p starts
 * and stops it.
 */
export class TrainingService implements Startable, Swarm {
  readonly announcements = new Announcements()
  readonly control: ControlClient
  readonly #components: TrainingComponents
  readonly #options: TrainingOptions
  readonly #artifacts: ProvidedArtifacts
  readonly #gossip: Gossip
  readonly #file: StateFile
  readonly #redialer: Redialer
  readonly #introductions: Introductions
  readonly #peers = new Map<string, Connected>()
  readonly #protocol: string
  #fetchedBytes = 0
  #stopAnswering: (() => Promise<void>) | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(components: TrainingComponents, options: TrainingOptions) {
    this.#components = components
    this.#options = options
    this.#protocol = controlProtocol(options.network)
    this.#artifacts = new ProvidedArtifacts(options.store)
    this.#file = new StateFile(join(options.stateFolder, 'announcements.cbor'), this.announcements)
    const { connectionManager } = components
    const open = openerByAnnouncements(connectionManager, this.#protocol, this.announcements)
    this.control = new ControlClient((peerId, request, requestOptions) =>
      exchange((signal) => open(peerId, signal), peerId, request, requestOptions),
    )
    this.#gossip = new Gossip(components.pubsub, options.network, {
      onAnnouncement: (payload) => this.#take(payload),
      onProblem: (error) => this.#report(error),
    })
    this.#redialer = new Redialer(components.connectionManager, options.bootstrap ?? [], (error) =>
      this.#report(error),
    )
    this.#introductions = new Introductions(
      connectionManager,
      this.announcements,
      () => this.peerId,
    )
  }

  /** This peer's id, as text. */
  get peerId(): string {
    return this.#components.peerId.toString()
  }

  get network(): string {
    return this.#options.network
  }

  get store(): FsArtifactStore {
    return this.#options.store
  }

  /** The peers that are connected and speak the protocol of this network. */
  get peers(): ConnectedPeer[] {
    const directory = this.announcements.of('PeerDirectory')
    const roles = new Map(directory.map((of) => [of.peer_id, of.advertised_roles?.roles]))
    return [...this.#peers].map(([peerId, { since, agent, answeredInMs }]) => ({
      ...{ peerId, since, agent, answeredInMs },
      roles: roles.get(peerId),
    }))
  }

  /** Bytes of artifacts that others were given, and that were fetched, since the node was made. */
  get traffic(): { readonly sentBytes: number; readonly fetchedBytes: number } {
    return { sentBytes: this.#artifacts.servedBytes, fetchedBytes: this.#fetchedBytes }
  }

  async start(): Promise<void> {
    const { stateFolder, experiments, diLoCo } = this.#options
    await makeFolder(stateFolder)
    await this.#file.restore()
    const answer = controlAnswer({
      ...{ announcements: this.announcements, artifacts: this.#artifacts, diLoCo },
    })
    this.#stopAnswering = await answerRequests(
      ...([
        this.#components.registrar,
        this.#protocol,
        answer,
        (error: P2pError) => this.#report(error),
      ] as const),
    )
    const { events } = this.#components
    events.addEventListener('peer:identify', this.#onIdentify)
    events.addEventListener('peer:disconnect', this.#onDisconnect)
    events.addEventListener('self:peer:update', this.#announceSelf)
    events.addEventListener('transport:listening', this.#announceSelf)
    this.#gossip.start(experiments)
    this.#timer = setInterval(() => this.#askAll(), SNAPSHOT_INTERVAL_MS)
    this.#timer.unref()
  }

  /** Called by libp2p while the node begins to listen. */
  afterStart(): void {
    this.#announceSelf()
    this.#redialer.start()
    this.#introductions.start()
  }

  /** Called by libp2p before gossipsub stops, which takes its leave of nothing afterwards. */
  beforeStop(): void {
    clearInterval(this.#timer)
    this.#redialer.stop()
    this.#introductions.stop()
    this.#gossip.stop()
  }

  async stop(): Promise<void> {
    const { events } = this.#components
    events.removeEventListener('peer:identify', this.#onIdentify)
    events.removeEventListener('peer:disconnect', this.#onDisconnect)
    events.removeEventListener('self:peer:update', this.#announceSelf)
    events.removeEventListener('transport:listening', this.#announceSelf)
    this.#peers.clear()
    this.announcements.end()
    await this.#stopAnswering?.()
    await this.#file.save()
  }

  /** Exchanges the announcements of one more experiment. */
  join(experiment: ExperimentScope): void {
    this.#gossip.join(experiment)
  }

  /**
   * Makes an announcement known. Settles when it is on the disk here; others have it from gossip, or from the next snapshot.
   *
   * @throws ConfigError when the record cannot be written; the system's error when the disk refuses
   */
  async announce(payload: PubsubPayload): Promise<void> {
    this.announcements.add(payload)
    await Promise.all([this.#publish(payload), this.#file.save()])
  }

  /** Offers an artifact of the store to others, until the returned function is called. */
  provide(artifact: ArtifactDescriptor): () => void {
    return this.#artifacts.provide(artifact)
  }

  /**
   * Fetches an artifact from peers, all of them at once; what the store has is not fetched.
   *
   * @param from ids of peers; those that are not connected are dialled
   * @throws ArtifactUnavailableError when none of them offers it; as `fetchArtifact`
   */
  async fetch(
    artifactId: string,
    from: readonly string[],
    options: FetchOptions = {},
  ): Promise<FetchReport> {
    const providers = from
      .filter((peerId) => peerId !== this.peerId)
      .map((peerId) => this.#provider(peerId))
    const report = await fetchFrom(this.store, artifactId, providers, options)
    this.#fetchedBytes += report.fetchedBytes
    return report
  }

  #provider(peerId: string): Provider {
    return {
      name: peerId,
      concurrency: CHUNK_REQUESTS_PER_PEER,
      manifest: (artifactId, signal) => this.control.manifest(peerId, artifactId, { signal }),
      fetchChunk: (artifact, chunk, signal) =>
        this.control.chunk(peerId, artifact, chunk, { signal }),
    }
  }

  async #publish(payload: PubsubPayload): Promise<void> {
    try {
      await this.#gossip.publish(payload)
    } catch (error) {
      // Others ask for it: gossip is the quicker way only.
      this.#report(error instanceof MessageTooLargeError ? error : asPeerError(error, this.peerId))
    }
  }

  /** Takes note of what others say; nobody else speaks of where this peer is and what it does. */
  #take(payload: PubsubPayload): void {
    if ('PeerDirectory' in payload && payload.PeerDirectory.peer_id === this.peerId) return
    if (this.announcements.add(payload)) this.#saveSoon()
  }

  #saveSoon(): void {
    this.#file.save().catch((error: unknown) => this.#report(asPeerError(error, this.peerId)))
  }

  /** As soon as there is an address, where one is listened on. */
  readonly #announceSelf = (): void => {
    const { addressManager } = this.#components
    const addresses = addressManager.getAddresses().map(String)
    if (addresses.length === 0 && addressManager.getListenAddrs().length > 0) return
    this.announce({
      PeerDirectory: {
        network_id: this.network,
        peer_id: this.peerId,
        addresses,
        advertised_roles: { roles: [...this.#options.roles] },
        announced_at: timestampNow(),
      },
    }).catch((error: unknown) => this.#report(asPeerError(error, this.peerId)))
  }

  readonly #onIdentify = ({ detail }: CustomEvent<IdentifyResult>): void => {
    const { peerId: id, protocols, agentVersion = '' } = detail
    if (!protocols.includes(this.#protocol)) return
    const peerId = id.toString()
    const known = this.#peers.get(peerId)
    if (known !== undefined) {
      known.agent = agentVersion
      return
    }
    this.#peers.set(peerId, {
      since: Date.now(),
      agent: agentVersion,
      answeredInMs: undefined,
      snapshotHash: undefined,
      asking: false,
    })
    this.#ask(peerId)
  }

  readonly #onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    this.#peers.delete(detail.toString())
  }

  #askAll(): void {
    for (const peerId of this.#peers.keys()) this.#ask(peerId)
  }

  /** Asks a peer for all that it knows, unless it still owes the last answer. */
  #ask(peerId: string): void {
    const peer = this.#peers.get(peerId)
    if (peer === undefined || peer.asking) return
    peer.asking = true
    this.#learn(peerId, peer)
      .catch((error: unknown) => this.#report(asPeerError(error, peerId)))
      .finally(() => (peer.asking = false))
  }

  async #learn(peerId: string, peer: Connected): Promise<void> {
    const start = performance.now()
    const response = await this.control.snapshotResponse(peerId)
    peer.answeredInMs = performance.now() - start
    const hash = createHash('sha256').update(response).digest('base64')
    if (hash === peer.snapshotHash) return
    const snapshot = readSnapshot(peerId, response)
    peer.snapshotHash = hash
    const own = (of: { readonly peer_id: string }) => of.peer_id === this.peerId
    const others = {
      ...snapshot,
      peer_directory_announcements: snapshot.peer_directory_announcements.filter((of) => !own(of)),
    }
    if (this.announcements.merge(others) > 0) this.#saveSoon()
  }

  #report(error: P2pError): void {
    this.#options.onProblem?.(error)
  }
}
