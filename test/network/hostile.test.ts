/** Whatever a peer sends, it is refused with its reason, counted, and costs little; liars are sent away, and the others go on. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { ArtifactDescriptor, timestampNow } from '../../lib/schema/index.js'
import type { PubsubPayload } from '../../lib/swarm/index.js'
import { chunkingScheme } from '../../lib/store/index.js'
import { SERVE_HEAD } from '../store/support.js'
import { readCbor } from '../schema/support/independent-cbor.js'
import { NETWORK, until } from '../p2p/nodes.js'
import { EXPERIMENT, headOf, headsOf, startPeer, type TestPeer } from '../p2p/peers.js'
import { answer, cbor, head, HostilePeer, object, snapshot, update } from './hostile-peer.js'

const hex = (text: string) => Buffer.from(text, 'hex')
const SNAPSHOT = cbor('Snapshot')

/** That a peer still does what it is for. */
async function stillWorks(victim: TestPeer): Promise<void> {
  const name = `head-${randomBytes(4).toString('hex')}`
  const honest = await startPeer({ bootstrap: victim.addresses })
  await honest.training.announce(headOf(honest.peerId, name, 'artifact-1'))
  await until(() => headsOf(victim).includes(name))
  await honest.stop()
}

describe('a request of a hostile peer', function () {
  this.timeout(60_000)

  const requests: readonly [string, Uint8Array][] = [
    ['nothing', new Uint8Array()],
    ['cut short', SNAPSHOT.subarray(0, -1)],
    ['with bytes behind it', Buffer.concat([SNAPSHOT, hex('00')])],
    ['nested 100,000 deep', Buffer.concat([Buffer.alloc(100_000, 0x81), hex('00')])],
    ['an array of 2^64 items', hex('9bffffffffffffffff')],
    ['a text of 2^64 bytes', hex('7bffffffffffffffff')],
    ['of an unknown kind', cbor('Everything')],
    ['with a float for a text', cbor(object({ ArtifactManifest: object({ artifact_id: 1.5 }) }))],
    ['with a field missing', cbor(object({ ArtifactChunk: object({ artifact_id: 'a1' }) }))],
    ['of two kinds at once', cbor(object({ ArtifactManifest: null, ArtifactChunk: null }))],
    ['of indefinite length', hex('bf704172746966616374')],
    ['of 1 MiB of zeros', Buffer.alloc(1_048_576)],
  ]

  it('is reset and counted, whatever is wrong with it, and the tenth in a minute is its last', async () => {
    const victim = await startPeer()
    const hostile = await HostilePeer.start(victim)
    for (const [index, [what, bytes]] of requests.slice(0, 9).entries()) {
      assert.equal(await hostile.ask(bytes), undefined, what)
      await until(() => hostile.faults.malformed === index + 1)
    }
    assert.ok((await hostile.ask(SNAPSHOT)) !== undefined, 'it is still answered')
    await hostile.ask(requests[9]![1])
    await until(() => hostile.ban === 'malformed')
    await until(() => !hostile.isConnected)
    for (const error of victim.problems) assert.equal(error.code, 'ERR_P2P_PROTOCOL', error.message)
    await hostile.node.dial(victim.libp2p.getMultiaddrs()).catch(() => undefined)
    await until(() => !hostile.isConnected)
    victim.training.pardon(hostile.peerId)
    await hostile.node.dial(victim.libp2p.getMultiaddrs())
    for (const [what, bytes] of requests.slice(10)) {
      assert.equal(await hostile.ask(bytes), undefined, what)
    }
    assert.equal(hostile.faults.malformed, 2)
    await stillWorks(victim)
  })

  it('that is larger than any may be is cut off, also when many are so together', async () => {
    const victim = await startPeer()
    const hostile = await HostilePeer.start(victim)
    assert.equal(await hostile.ask(Buffer.alloc(1_048_577)), undefined)
    await until(() => hostile.faults.oversize === 1)
    const before = process.memoryUsage().arrayBuffers
    const streams = await Promise.all(Array.from({ length: 40 }, () => hostile.open()))
    for (const stream of streams)
      for (let at = 0; at < 8; at += 1) stream.send(Buffer.alloc(65_536))
    await until(() => (hostile.faults.oversize ?? 0) >= 10)
    await until(() => hostile.ban === 'oversize')
    const grown = process.memoryUsage().arrayBuffers - before
    assert.ok(grown < 64 * 1_048_576, `${grown} bytes`)
    await stillWorks(victim)
  })

  it('that never ends holds nobody up, and ends after ten seconds', async () => {
    const victim = await startPeer()
    const hostile = await HostilePeer.start(victim)
    const streams = await Promise.all(Array.from({ length: 90 }, () => hostile.open()))
    for (const stream of streams) stream.send(hex('68'))
    const start = performance.now()
    await stillWorks(victim)
    assert.ok(performance.now() - start < 9000)
    await until(() => hostile.faults.slow === 90)
    assert.equal(hostile.ban, undefined, 'slow is no lie')
  })

  it('that comes too often is one of a flood, which ends', async () => {
    const victim = await startPeer()
    const hostile = await HostilePeer.start(victim)
    const flood = async () => {
      while (hostile.ban === undefined)
        await Promise.all(Array.from({ length: 8 }, () => hostile.ask(SNAPSHOT)))
    }
    // On two cores a peer may never be so fast: then nothing needs to be done about it.
    await Promise.race([Promise.all(Array.from({ length: 8 }, flood)), sleep(8000)])
    assert.ok([undefined, 'flood'].includes(hostile.ban), String(hostile.ban))
    victim.training.pardon(hostile.peerId)
    await stillWorks(victim)
  })
})

describe('what a hostile peer says that it knows', function () {
  this.timeout(60_000)

  const answers: readonly [string, string, () => Uint8Array][] = [
    ['no snapshot', 'malformed', () => cbor('Snapshot')],
    ['another answer', 'malformed', () => cbor(object({ ArtifactManifest: null }))],
    ['a snapshot without a list', 'malformed', () => cbor(object({ Snapshot: object({}) }))],
    ['half a snapshot', 'malformed', () => snapshot().subarray(0, 300)],
    [
      'a list beyond the caps',
      'oversize',
      () =>
        snapshot({ head_announcements: Array.from({ length: 513 }, (_, at) => head(`h${at}`)) }),
    ],
    [
      'a million records',
      'malformed',
      () => {
        // Each of them an empty map, in a list that says how many there are.
        const empty = Buffer.from(snapshot())
        const name = empty.indexOf('head_announcements') + 'head_announcements'.length
        const million = Buffer.concat([hex('9a000f4240'), Buffer.alloc(1_000_000, 0xa0)])
        return Buffer.concat([empty.subarray(0, name), million, empty.subarray(name + 1)])
      },
    ],
    ['more than 10 MiB', 'oversize', () => Buffer.alloc(10_485_761, 0x80)],
  ]
  for (const [what, fault, bytes] of answers) {
    it(`is not taken when it is ${what}: ${fault}`, async () => {
      const victim = await startPeer()
      const response = bytes()
      const hostile = await HostilePeer.start(victim, (_request, stream) =>
        answer(stream, response),
      )
      await until(() => Object.keys(hostile.faults).length > 0)
      assert.deepEqual(hostile.faults, { [fault]: 1 })
      assert.deepEqual(headsOf(victim), [])
      await stillWorks(victim)
    })
  }

  it('is taken but for the records that cannot be, which are counted', async () => {
    const victim = await startPeer()
    const response = snapshot({
      head_announcements: [
        head('good'),
        head('of tomorrow', new Date(Date.now() + 86_400_000).toISOString()),
        object({ overlay: 'none' }),
      ],
      update_announcements: [
        update('peer-1', NaN),
        update('peer-2', -1),
        update('peer-3', Infinity),
        update('peer-4', 1),
      ],
    })
    await HostilePeer.start(victim, (_request, stream) => answer(stream, response))
    await until(() => headsOf(victim).includes('good'))
    assert.deepEqual(headsOf(victim), ['good'])
    const updates = victim.training.announcements.of('Update').map((of) => of.update.peer_id)
    assert.deepEqual(updates, ['peer-4'])
    assert.deepEqual(victim.training.refusedRecords, { future: 1, number: 3 })
  })

  it('is waited for no longer than ten seconds, and asked for less and less often', async () => {
    const victim = await startPeer()
    let asked = 0
    const hostile = await HostilePeer.start(victim, () => {
      asked += 1
      return new Promise(() => undefined)
    })
    await stillWorks(victim)
    await until(() => (hostile.faults.slow ?? 0) >= 1)
    assert.ok(asked <= 2, `asked ${asked} times`)
    assert.equal(hostile.ban, undefined)
  })
})

describe('gossip of a hostile peer', function () {
  this.timeout(60_000)

  const topic = `/burn-p2p/${NETWORK}/study/study-1/exp/exp-1/heads`
  async function say(hostile: HostilePeer, payload: unknown): Promise<void> {
    const envelope = { topic_path: topic, payload, published_at: timestampNow() }
    await hostile.node.services.pubsub.publish(topic, Buffer.from(JSON.stringify(envelope)))
  }
  const merge = (promoter: string, head_id: string): PubsubPayload => ({
    Merge: {
      overlay: { ...EXPERIMENT, channel: 'Heads', path: topic },
      certificate: {
        merge_cert_id: 'm1',
        ...{ study_id: 'study-1', experiment_id: 'exp-1', revision_id: 'rev-1' },
        ...{ base_head_id: 'genesis', merged_head_id: head_id, merged_artifact_id: 'a1' },
        ...{ policy: 'WeightedMean', issued_at: timestampNow(), promoter_peer_id: promoter },
        ...{ promotion_mode: 'ValidatorQuorum', contribution_receipts: [] },
      },
      announced_at: timestampNow(),
    },
  })

  it('in the name of another peer is refused, and the tenth time it is sent away', async () => {
    const victim = await startPeer()
    const hostile = await HostilePeer.start(victim)
    await until(() => hostile.node.services.pubsub.getSubscribers(topic).length === 1)
    await say(hostile, merge(victim.peerId, 'stolen'))
    await until(() => hostile.faults.impersonation === 1)
    assert.deepEqual(victim.training.announcements.of('Merge'), [])
    assert.match(victim.problems[0]!.message, /announces a Merge in the name of 12D3/)
    for (let at = 0; at < 9; at += 1) await say(hostile, merge(victim.peerId, `stolen-${at}`))
    await until(() => hostile.ban === 'impersonation')
    await until(() => !hostile.isConnected)
    await stillWorks(victim)
  })

  it('that says the same again, or an older state, changes nothing', async () => {
    const victim = await startPeer()
    const hostile = await HostilePeer.start(victim)
    await until(() => hostile.node.services.pubsub.getSubscribers(topic).length === 1)
    const news: PubsubPayload[] = []
    victim.training.announcements.listen((payload) => news.push(payload))
    const first = merge(hostile.peerId, 'promoted')
    await say(hostile, first)
    await until(() => news.length === 1)
    await say(hostile, first)
    const old = headOf(hostile.peerId, 'marker', 'artifact-1')
    await say(hostile, old)
    await until(() => headsOf(victim).includes('marker'))
    const earlier = { ...old.Head, announced_at: '2020-01-01T00:00:00Z' }
    await say(hostile, { Head: earlier })
    await say(hostile, headOf(hostile.peerId, 'last', 'artifact-1'))
    await until(() => headsOf(victim).includes('last'))
    const marker = victim.training.announcements
      .of('Head')
      .find((of) => of.head.head_id === 'marker')
    assert.equal(marker?.announced_at, old.Head.announced_at)
    assert.equal(victim.training.announcements.of('Merge').length, 1)
  })
})

describe('an artifact of a hostile peer', function () {
  this.timeout(60_000)
  const bytes = randomBytes(1_000_000)

  async function setting() {
    const honest = await startPeer()
    const artifact = await honest.training.store.storeArtifactBytes(
      SERVE_HEAD,
      bytes,
      chunkingScheme(262_144),
    )
    honest.training.provide(artifact)
    const victim = await startPeer({ bootstrap: honest.addresses })
    await until(() => victim.training.peers.length === 1)
    return { honest, victim, artifact }
  }

  type Lie = (artifact: ArtifactDescriptor, chunkId: string) => Uint8Array

  function chunkAnswer(
    artifact: ArtifactDescriptor,
    chunkId: string,
    of: Uint8Array,
    name = chunkId,
  ) {
    const chunk = artifact.chunks.find(({ chunk_id }) => chunk_id === chunkId)!
    const { offset_bytes, length_bytes, chunk_hash } = chunk
    const described = object({
      chunk_id: name,
      offset_bytes: BigInt(offset_bytes),
      length_bytes: BigInt(length_bytes),
      chunk_hash,
    })
    const payload = object({
      ...{ artifact_id: artifact.artifact_id, chunk: described },
      bytes: Array.from(of, (byte) => BigInt(byte)),
      generated_at: '2026-01-02T03:04:05Z',
    })
    return cbor(object({ ArtifactChunk: payload }))
  }

  const lies: readonly [string, Lie][] = [
    ['other bytes', (artifact, id) => chunkAnswer(artifact, id, randomBytes(262_144))],
    ['too few bytes', (artifact, id) => chunkAnswer(artifact, id, randomBytes(5))],
    ['another chunk', (artifact, id) => chunkAnswer(artifact, id, randomBytes(5), 'c1')],
  ]
  for (const [what, lie] of lies) {
    it(`that sends ${what} comes whole from an honest one, and the liar is sent away`, async () => {
      const { honest, victim, artifact } = await setting()
      const hostile = await HostilePeer.start(victim, (request, stream) => {
        const asked = readCbor(request)
        if (!(asked instanceof Map)) return answer(stream, snapshot())
        const fields = (asked as Map<string, Map<string, string>>).get('ArtifactChunk')
        if (fields === undefined) {
          return answer(stream, cbor(object({ ArtifactManifest: null })))
        }
        return answer(stream, lie(artifact, fields.get('chunk_id')!))
      })
      await until(() => victim.training.peers.length === 2)
      const from = [hostile.peerId, honest.peerId]
      const report = await victim.training.fetch(artifact.artifact_id, from)
      assert.ok(bytes.equals(await victim.training.store.materializeArtifactBytes(report.artifact)))
      await until(() => hostile.ban === 'false-chunk')
      await until(() => !hostile.isConnected)
    })
  }

  it('with the descriptor of another is not fetched, and the liar is sent away', async () => {
    const { honest, victim, artifact } = await setting()
    const other = await honest.training.store.storeArtifactBytes(
      SERVE_HEAD,
      randomBytes(1000),
      chunkingScheme(262_144),
    )
    const lie = Buffer.concat([
      hex('a1'),
      cbor('ArtifactManifest'),
      ArtifactDescriptor.toWireCbor(other),
    ])
    const hostile = await HostilePeer.start(victim, (request, stream) =>
      answer(stream, readCbor(request) instanceof Map ? lie : snapshot()),
    )
    await until(() => victim.training.peers.length === 2)
    const from = [hostile.peerId, honest.peerId]
    const { fetchedBytes } = await victim.training.fetch(artifact.artifact_id, from)
    assert.equal(fetchedBytes, bytes.length)
    await until(() => hostile.ban === 'false-descriptor')
  })
})
