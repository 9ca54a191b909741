/**
 * The network of a peer as a service of libp2p: it tells what this peer announces, knows what others announced, offers artifacts
 * and fetches them. Add it to a node of your own with `createLibp2p({ services: { pubsub: gossipsub(gossipOptions()), training:
 * training(options) } })`, or let `createNode` do both.
 *
 * What arrives by gossip may be lost; what a peer knows is asked of it when it connects and every few seconds, so that nothing
 * stays unknown for long. A response that has not changed costs a hash.
 */

import { join } from 'node:path'

import type { Startable } from '@libp2p/interface'

import { makeFolder } from '../files/make-folder.js'
import { timestampNow, type ArtifactDescriptor } from '../schema/index.js'
import type { PubsubPayload } from '../schema/records/network/index.js'
import type { FetchOptions, FetchReport, FsArtifactStore } from '../store/index.js'
import { Announcements } from '../swarm/announcements.js'
import { fetchFrom, type Provider } from '../swarm/fetch.js'
import type { Swarm } from '../swarm/index.js'
import { ProvidedArtifacts } from '../swarm/provided.js'
import { Admission } from './admission/admission.js'
import { signingKey } from './admission/keys.js'
import { askForProof, giveProof } from './admission/proof.js'
import { Conduct, type Fault, type PeerConduct } from './conduct.js'
import { ControlClient, type SendRequest } from './control/client.js'
import { answerRequests, asPeerError, exchange, streamOpener } from './control/exchange.js'
import { RequestGuard } from './control/guard.js'
import { controlAnswer } from './control/server.js'
import {
  faultOf,
  MessageTooLargeError,
  PeerProtocolError,
  RemotePeerError,
  type P2pError,
} from './errors.js'
import { Gossip, type ExperimentScope } from './gossip.js'
import { Introductions } from './introductions.js'
import { Intake } from './intake.js'
import { openerByAnnouncements } from './known-addresses.js'
import { CHUNK_REQUESTS_PER_PEER } from './limits.js'
import { admissionProtocol, controlProtocol, transferProtocol } from './names.js'
import { installWithResolvers } from './packages.js'
import { Peers, type PeersParts } from './peers.js'
import { Redialer } from './redial.js'
import type { ConnectedPeer, TrainingComponents, TrainingOptions } from './service-options.js'
import { StateFile } from './state-file.js'
import { askForChunk, serveChunks } from './transfer.js'

/** The service `training` for `createLibp2p`. */
export function training(
  options: TrainingOptions,
): (components: TrainingComponents) => TrainingService {
  installWithResolvers()
  return (components) => new TrainingService(components, options)
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
  #fetchedBytes = 0
  readonly #peers: Peers
  readonly #admission: Admission | undefined
  readonly #guard: RequestGuard
  readonly #conduct = new Conduct((peerId) => this.#peers.disconnect(peerId))
  readonly #intake: Intake
  readonly #protocol: string
  readonly #sendTransfer: SendRequest
  /** What a peer is told that is not admitted yet: how this one presents itself. */
  readonly #presentation = new Announcements()
  readonly #undo: (() => Promise<void>)[] = []

  constructor(components: TrainingComponents, options: TrainingOptions) {
    this.#components = components
    this.#options = options
    this.#protocol = controlProtocol(options.network)
    this.#artifacts = new ProvidedArtifacts(options.store)
    this.#file = new StateFile(join(options.stateFolder, 'announcements.cbor'), this.announcements)
    const { connectionManager } = components
    const key = signingKey(components.privateKey.raw)
    this.#admission = options.admission && new Admission(options.admission, key)
    this.#guard = new RequestGuard((peerId) => this.#peers.checkBan(peerId))
    const open = openerByAnnouncements(connectionManager, this.#protocol, this.announcements)
    this.control = new ControlClient((peerId, request, requestOptions) => {
      const openUnlessBanned = async (signal: AbortSignal) => {
        this.#peers.checkBan(peerId)
        return open(peerId, signal)
      }
      return exchange(openUnlessBanned, peerId, request, requestOptions)
    })
    const openTransfer = streamOpener(connectionManager, transferProtocol(options.network))
    this.#sendTransfer = (peerId, request, requestOptions) =>
      exchange((signal) => openTransfer(peerId, signal), peerId, request, requestOptions)
    this.#peers = new Peers(this.#peersParts())
    this.#intake = new Intake({
      ...{ peerId: this.peerId, announcements: this.announcements },
      ...{ admission: this.#admission, conduct: this.#conduct },
      isAdmitted: (peerId) => this.#peers.isAdmitted(peerId),
      onNews: () => {
        this.#saveSoon()
        // Someone may have been revoked.
        if (this.#admission !== undefined) this.#peers.recheck()
      },
      onProblem: (error) => this.#report(error),
    })
    this.#gossip = new Gossip(components.pubsub, options.network, {
      takes: (source) => this.#intake.takesGossipOf(source),
      onAnnouncement: (payload, author) => this.#intake.hear(payload, author),
      onProblem: (error) => this.#report(error),
    })
    const isBanned = (peerId: string) => this.#conduct.banOf(peerId) !== undefined
    this.#redialer = new Redialer(
      ...([
        components.connectionManager,
        options.bootstrap ?? [],
        (error: P2pError) => this.#report(error),
        isBanned,
      ] as const),
    )
    this.#introductions = new Introductions(
      connectionManager,
      this.announcements,
      () => this.peerId,
      isBanned,
    )
  }

  #peersParts(): PeersParts {
    const { connectionManager, events } = this.#components
    const proofs = admissionProtocol(this.network)
    const open = streamOpener(connectionManager, proofs)
    const admission = this.#admission
    return {
      ...{ connections: connectionManager, events, admission, conduct: this.#conduct },
      ...{ protocol: this.#protocol, admissionProtocol: proofs },
      transferProtocol: transferProtocol(this.network),
      snapshotResponse: (peerId) => this.control.snapshotResponse(peerId),
      askForProof: async (peerId) => {
        if (admission === undefined) return
        await askForProof(admission, peerId, (to, nonce) =>
          exchange((signal) => open(to, signal), to, nonce),
        )
      },
      onSnapshot: (snapshot) => this.#intake.learn(snapshot),
      onLeave: (peerId) => {
        this.#guard.forget(peerId)
        this.#intake.forget(peerId)
      },
      onProblem: (error) => this.#report(error),
    }
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

  /** The peers that did something wrong recently: what, how often, and whether they are kept away for it. */
  get conduct(): PeerConduct[] {
    return this.#conduct.list()
  }

  /** How many records were not taken, by reason, whoever passed them on. */
  get refusedRecords(): Readonly<Partial<Record<Fault, number>>> {
    return this.#intake.refused
  }

  /** Lets a peer come back that is kept away, and forgets what it did. */
  pardon(peerId: string): void {
    this.#conduct.pardon(peerId)
  }

  /** The peers that are connected, speak the protocol of this network, and may take part. */
  get peers(): ConnectedPeer[] {
    const directory = this.announcements.of('PeerDirectory')
    const roles = new Map(directory.map((of) => [of.peer_id, of.advertised_roles?.roles]))
    return this.#peers.admitted.map(([peerId, { since, agent, answeredInMs }]) => ({
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
    await this.#startAdmission()
    const answer = controlAnswer({
      ...{ artifacts: this.#artifacts, diLoCo },
      snapshotResponse: (peerId) =>
        (this.#peers.isAdmitted(peerId)
          ? this.announcements
          : this.#presentation
        ).snapshotResponse(),
      untilAdmitted: (peerId) => this.#peers.untilAdmitted(peerId),
    })
    const onFailure = (error: P2pError) => this.#report(error)
    const { registrar, events } = this.#components
    this.#undo.push(await answerRequests(registrar, this.#protocol, answer, onFailure, this.#guard))
    const transfer = {
      ...{ artifacts: this.#artifacts, guard: this.#guard, onFailure },
      untilAdmitted: (peerId: string) => this.#peers.untilAdmitted(peerId),
    }
    this.#undo.push(await serveChunks(registrar, transferProtocol(this.network), transfer))
    events.addEventListener('self:peer:update', this.#announceSelf)
    events.addEventListener('transport:listening', this.#announceSelf)
    this.#peers.start()
    this.#gossip.start(experiments)
  }

  /** Presents this peer, and remembers whom and what the certificates that it knows of admit and revoke. */
  async #startAdmission(): Promise<void> {
    const admission = this.#admission
    if (admission === undefined) return
    const envelope = admission.present()
    const own = {
      Auth: { peer_id: this.peerId, envelope, announced_at: timestampNow() },
    }
    for (const kind of ['Auth', 'Control'] as const) {
      for (const record of this.announcements.of(kind)) {
        admission.recordProblem({ [kind]: record } as unknown as PubsubPayload)
      }
    }
    this.#presentation.add(own)
    this.announcements.add(own)
    const onFailure = (error: P2pError) => this.#report(error)
    const protocol = admissionProtocol(this.network)
    const { registrar } = this.#components
    this.#undo.push(await giveProof(registrar, protocol, admission, this.#guard, onFailure))
  }

  /** Called by libp2p while the node begins to listen. */
  afterStart(): void {
    this.#announceSelf()
    this.#redialer.start()
    this.#introductions.start()
  }

  /** Called by libp2p before gossipsub stops, which takes its leave of nothing afterwards. */
  beforeStop(): void {
    this.#peers.pause()
    this.#redialer.stop()
    this.#introductions.stop()
    this.#gossip.stop()
  }

  async stop(): Promise<void> {
    const { events } = this.#components
    events.removeEventListener('self:peer:update', this.#announceSelf)
    events.removeEventListener('transport:listening', this.#announceSelf)
    this.#peers.stop()
    this.announcements.end()
    for (const undo of this.#undo.splice(0)) await undo()
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
    const blaming = <T>(answer: Promise<T>): Promise<T> => {
      answer.catch((error: unknown) => {
        if (error instanceof PeerProtocolError) this.#report(error)
      })
      return answer
    }
    return {
      name: peerId,
      concurrency: CHUNK_REQUESTS_PER_PEER,
      manifest: (artifactId, signal) =>
        blaming(this.control.manifest(peerId, artifactId, { signal })),
      fetchChunk: (artifact, chunk, signal) =>
        blaming(
          this.#peers.transfers(peerId)
            ? askForChunk(
                ...([this.#sendTransfer, peerId, artifact.artifact_id, chunk.chunk_id] as const),
                signal,
              )
            : this.control.chunk(peerId, artifact, chunk, { signal }),
        ),
      onLie: ({ message }) => {
        const text = `${peerId} sends a false chunk: ${message}`
        this.#report(new PeerProtocolError(text, peerId, { fault: 'false-chunk' }))
      },
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

  #report(error: P2pError): void {
    const fault = faultOf(error)
    if (error instanceof RemotePeerError && fault !== undefined && error.peerId !== this.peerId) {
      this.#conduct.note(error.peerId, fault, error.message)
    }
    this.#options.onProblem?.(error)
  }
}
