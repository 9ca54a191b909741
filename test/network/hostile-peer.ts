/**
 * A peer that says what no honest one would. Its wire is a second implementation, written from the specification: the CBOR of
 * test/schema/support, and bytes over plain streams of libp2p.
 */
import type { PrivateKey, Stream } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import type { Wire } from '../../lib/json/wire.js'
import { independentWireCbor } from '../schema/support/independent-cbor.js'
import { NETWORK, startNode, type TestNode } from '../p2p/nodes.js'
import type { TestPeer } from '../p2p/peers.js'

const PROTOCOL = `/burn-p2p/${NETWORK}/v1/control`

/** The lists of a snapshot, in their order. */
const LISTS = [
  ...['control', 'lifecycle', 'schedule', 'head', 'lease', 'merge', 'merge_window'],
  ...['reducer_assignment', 'update', 'aggregate_proposal', 'reduction_certificate'],
  ...['validation_quorum', 'trainer_promotion_attestation', 'diffusion_promotion_certificate'],
  ...['reducer_load', 'auth', 'directory', 'peer_directory', 'metrics'],
].map((name) => `${name}_announcements`)

export const object = (fields: Readonly<Record<string, Wire>>): Wire =>
  new Map(Object.entries(fields))

export const cbor = (value: Wire): Uint8Array => Buffer.from(independentWireCbor(value), 'hex')

/** The response to `Snapshot` of a peer that knows these records and no others. */
export function snapshot(lists: Readonly<Record<string, readonly Wire[]>> = {}): Uint8Array {
  const all = LISTS.map((list): [string, Wire] => [list, lists[list] ?? []])
  return cbor(object({ Snapshot: new Map(all) }))
}

/** The topic of an experiment. */
export function overlay(channel: string): Wire {
  return object({
    network_id: NETWORK,
    study_id: 'study-1',
    experiment_id: 'exp-1',
    channel,
    path: `/burn-p2p/${NETWORK}/study/study-1/exp/exp-1/${channel.toLowerCase()}`,
  })
}

/** A head, as a record of a snapshot. */
export function head(head_id: string, announced_at = '2026-01-02T03:04:05Z'): Wire {
  return object({
    overlay: overlay('Heads'),
    head: object({
      head_id,
      ...{ study_id: 'study-1', experiment_id: 'exp-1', revision_id: 'rev-1' },
      ...{ artifact_id: 'a1', parent_head_id: null, global_step: 0n, created_at: announced_at },
      metrics: object({}),
    }),
    announced_at,
  })
}

/** An update, as a record of a snapshot. */
export function update(peer_id: string, sample_weight: number): Wire {
  return object({
    overlay: overlay('Heads'),
    update: object({
      ...{ peer_id, study_id: 'study-1', experiment_id: 'exp-1', revision_id: 'rev-1' },
      ...{ window_id: 1n, base_head_id: 'genesis', delta_artifact_id: 'a1', sample_weight },
      quality_weight: 0.5,
      norm_stats: object({ l2_norm: 0.5, max_abs: 0.5, clipped: false, non_finite_tensors: 0n }),
      ...{ receipt_root: 'r', receipt_ids: [], providers: [peer_id] },
      announced_at: '2026-01-02T03:04:05Z',
    }),
  })
}

interface Inside {
  readonly components: { readonly registrar: Registrar; readonly privateKey: PrivateKey }
}

/** What a hostile peer does when it is asked. */
export type Behaviour = (request: Uint8Array, stream: Stream) => Promise<void> | void

export class HostilePeer {
  readonly node: TestNode
  readonly #victim: TestPeer

  private constructor(node: TestNode, victim: TestPeer) {
    this.node = node
    this.#victim = victim
  }

  /** A peer that is connected with its victim, and answers as it is told. */
  static async start(
    victim: TestPeer,
    behaviour?: Behaviour,
    prepare?: (registrar: Registrar) => Promise<void>,
  ): Promise<HostilePeer> {
    const node = await startNode()
    const { registrar } = (node as unknown as Inside).components
    await prepare?.(registrar)
    await registrar.handle(
      PROTOCOL,
      async (stream) => {
        try {
          const request = await readAll(stream)
          if (behaviour === undefined) await answer(stream, snapshot())
          else await behaviour(request, stream)
        } catch {
          // Its victim has had enough.
        }
      },
      { maxOutboundStreams: 1000 },
    )
    const peer = new HostilePeer(node, victim)
    await node.dial(victim.libp2p.getMultiaddrs())
    return peer
  }

  get peerId(): string {
    return this.node.peerId.toString()
  }

  /** Sends bytes as a request, and answers with what comes back; undefined when the stream is reset. */
  async ask(bytes: Uint8Array, protocol = PROTOCOL): Promise<Uint8Array | undefined> {
    try {
      const stream = await this.open(protocol)
      const response = readAll(stream)
      response.catch(() => undefined)
      await answer(stream, bytes)
      return await response
    } catch {
      return undefined
    }
  }

  open(protocol = PROTOCOL): Promise<Stream> {
    return this.node.dialProtocol(this.#victim.libp2p.peerId, protocol, {
      maxOutboundStreams: 10_000,
    })
  }

  /** What its victim holds against it. */
  get faults(): Readonly<Record<string, number>> {
    return this.#conduct?.faults ?? {}
  }

  get ban(): string | undefined {
    return this.#conduct?.ban?.fault
  }

  get isConnected(): boolean {
    return this.#victim.libp2p.getConnections(this.node.peerId).length > 0
  }

  get #conduct() {
    return this.#victim.training.conduct.find(({ peerId }) => peerId === this.peerId)
  }
}

/** Sends bytes and half-closes, in pieces that fit the window of a stream. */
export async function answer(stream: Stream, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (!stream.send(bytes.subarray(at, at + 65_536))) await stream.onDrain()
  }
  await stream.close()
}

async function readAll(stream: Stream): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of stream) pieces.push('subarray' in piece ? piece.subarray() : piece)
  if (stream.status === 'reset' || stream.status === 'aborted') throw new Error('reset')
  return Buffer.concat(pieces)
}
