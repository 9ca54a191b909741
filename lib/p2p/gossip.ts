/** Announcements over gossip: a JSON envelope on the topic of its kind, signed by libp2p (spec network#gossip). */

import type { GossipSub, GossipsubMessage, GossipsubOpts } from '@libp2p/gossipsub'

import { ConfigError } from '../errors.js'
import { timestampNow } from '../schema/index.js'
import {
  CHANNEL_OF,
  controlOverlay,
  experimentOverlay,
  gossipMessageId,
  PubsubEnvelope,
  type PubsubKind,
  type PubsubPayload,
} from '../schema/records/network/index.js'
import { MessageTooLargeError, PeerProtocolError, type P2pError } from './errors.js'
import { MAX_GOSSIP_BYTES } from './limits.js'

/** An experiment whose announcements are exchanged. */
export interface ExperimentScope {
  readonly study_id: string
  readonly experiment_id: string
}

/**
 * How gossipsub has to be configured to talk with peers of the reference: signed messages, their ids, and our own messages to
 * every peer, as those peers leave every mesh.
 */
export function gossipOptions(): Partial<GossipsubOpts> {
  return {
    globalSignaturePolicy: 'StrictSign',
    msgIdFn: ({ data }) => Buffer.from(gossipMessageId(data)),
    floodPublish: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    fallbackToFloodsub: false,
    maxInboundDataLength: MAX_GOSSIP_BYTES,
    // A peer that leaves our mesh is no worse for it.
    scoreThresholds: {
      gossipThreshold: -Infinity,
      publishThreshold: -Infinity,
      graylistThreshold: -Infinity,
    },
  }
}

/** What is told of gossip. */
export interface GossipHandlers {
  /** An announcement that fits its topic, and the peer that signed it. */
  readonly onAnnouncement: (payload: PubsubPayload, author: string) => void
  /** Whether a message that a peer passes on is looked at. */
  readonly takes: (source: string) => boolean
  /** A message that is none. */
  readonly onProblem: (error: P2pError, author: string) => void
}

export class Gossip {
  readonly #pubsub: GossipSub
  readonly #network: string
  readonly #handlers: GossipHandlers
  readonly #topics = new Set<string>()

  constructor(pubsub: GossipSub, network: string, handlers: GossipHandlers) {
    this.#pubsub = pubsub
    this.#network = network
    this.#handlers = handlers
  }

  /** Subscribes the topics of the network and of its experiments. */
  start(experiments: readonly ExperimentScope[]): void {
    this.#subscribe(controlOverlay(this.#network).path)
    for (const experiment of experiments) this.join(experiment)
    this.#pubsub.addEventListener('gossipsub:message', this.#onMessage)
  }

  /** Subscribes the topics of an experiment. */
  join({ study_id, experiment_id }: ExperimentScope): void {
    const of = { network_id: this.#network, study_id, experiment_id }
    for (const channel of ['Heads', 'Leases', 'Metrics', 'Telemetry', 'Alerts'] as const) {
      this.#subscribe(experimentOverlay(of, channel).path)
    }
  }

  stop(): void {
    this.#pubsub.removeEventListener('gossipsub:message', this.#onMessage)
    for (const topic of this.#topics) this.#pubsub.unsubscribe(topic)
    this.#topics.clear()
  }

  /**
   * Publishes an announcement on its topic; with no peer to take it, that is no error.
   *
   * @throws MessageTooLargeError, ConfigError when the record cannot be written
   */
  async publish(payload: PubsubPayload): Promise<void> {
    const topic_path = topicOf(payload, this.#network)
    const envelope = { topic_path, payload, published_at: timestampNow() }
    const bytes = Buffer.from(PubsubEnvelope.toJson(envelope))
    if (bytes.length > MAX_GOSSIP_BYTES) {
      throw new MessageTooLargeError(
        `The announcement has ${bytes.length} bytes; gossip carries ${MAX_GOSSIP_BYTES}`,
      )
    }
    await this.#pubsub.publish(topic_path, bytes)
  }

  #subscribe(topic: string): void {
    this.#topics.add(topic)
    this.#pubsub.subscribe(topic)
  }

  readonly #onMessage = ({
    detail: { msg, propagationSource },
  }: CustomEvent<GossipsubMessage>): void => {
    if (!this.#handlers.takes(propagationSource.toString())) return
    if (msg.type !== 'signed' || !this.#topics.has(msg.topic)) return
    const author = msg.from.toString()
    try {
      const { payload, topic_path } = PubsubEnvelope.fromJson(msg.data)
      const expected = topicOf(payload, this.#network)
      if (topic_path === msg.topic && expected === msg.topic) {
        this.#handlers.onAnnouncement(payload, author)
        return
      }
      const text = `${author} announces on ${msg.topic} what belongs to ${expected}`
      this.#handlers.onProblem(new PeerProtocolError(text, author, { fault: 'misplaced' }), author)
    } catch (cause) {
      if (!(cause instanceof ConfigError)) throw cause
      const text = `${author} announces what cannot be read: ${cause.message}`
      this.#handlers.onProblem(new PeerProtocolError(text, author, { cause }), author)
    }
  }
}

/** The topic on which an announcement travels: that of its own overlay, which must be the one of its kind. */
export function topicOf(payload: PubsubPayload, network: string): string {
  const [kind, record] = Object.entries(payload)[0] as [PubsubKind, object]
  const channel = CHANNEL_OF[kind]
  if (!('overlay' in record) || channel === 'Control') return controlOverlay(network).path
  const { study_id, experiment_id } = record.overlay as Partial<ExperimentScope>
  const of = { network_id: network, study_id: study_id ?? '', experiment_id: experiment_id ?? '' }
  return experimentOverlay(of, channel).path
}
