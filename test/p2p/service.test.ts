/** Whole peers of ours on loopback: what one announces the others know, whenever they come; artifacts are fetched. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ConfigError } from '../../lib/errors.js'
import { gossipOptions } from '../../lib/p2p/gossip.js'
import { ArtifactUnavailableError } from '../../lib/swarm/index.js'
import { chunkingScheme, ChunkSourcesExhaustedError } from '../../lib/store/index.js'
import { SERVE_HEAD } from '../store/support.js'
import { NETWORK, startNode, testFolder, until } from './nodes.js'
import { headOf, headsOf, startPeer, type TestPeer } from './peers.js'

describe('peers of a network', function () {
  this.timeout(30_000)

  it('know what another announces, also when they come later', async () => {
    const first = await startPeer({ roles: ['Authority', 'Validator'] })
    await first.training.announce(headOf(first.peerId, 'genesis', 'artifact-1'))
    const second = await startPeer({ bootstrap: first.addresses })
    await until(() => headsOf(second).includes('genesis'))
    const news: string[] = []
    second.training.announcements.listen((payload) => {
      if ('Head' in payload) news.push(payload.Head.head.head_id)
    })
    await first.training.announce(headOf(first.peerId, 'head-1', 'artifact-2', 1))
    await until(() => headsOf(second).includes('head-1'))
    assert.deepEqual(news, ['head-1'])
    await until(() => first.training.peers.length === 1)
    const directory = second.training.announcements
      .of('PeerDirectory')
      .find(({ peer_id }) => peer_id === first.peerId)
    assert.deepEqual(directory?.advertised_roles, { roles: ['Authority', 'Validator'] })
    assert.deepEqual([...directory.addresses], [...first.addresses])
  })

  it('hear of what happens at a peer that they are not connected with', async () => {
    const hub = await startPeer()
    const leaves = [
      await startPeer({ bootstrap: hub.addresses }),
      await startPeer({ bootstrap: hub.addresses }),
    ] as const
    await until(() => hub.training.peers.length === 2)
    await leaves[0].training.announce(headOf(leaves[0].peerId, 'from-leaf', 'artifact-1'))
    await until(() => headsOf(leaves[1]).includes('from-leaf'))
  })

  it('stay a network when the peer that introduced them goes', async () => {
    const hub = await startPeer()
    const leaves = [
      await startPeer({ bootstrap: hub.addresses }),
      await startPeer({ bootstrap: hub.addresses }),
    ] as const
    const meets = (one: TestPeer, other: TestPeer) =>
      one.training.peers.some(({ peerId }) => peerId === other.peerId)
    await until(() => meets(leaves[0], leaves[1]) && meets(leaves[1], leaves[0]))
    await hub.stop()
    await leaves[0].training.announce(headOf(leaves[0].peerId, 'afterwards', 'artifact-1'))
    await until(() => headsOf(leaves[1]).includes('afterwards'))
  })

  it('know after a restart what they knew, under the same id', async () => {
    const folder = await testFolder()
    const first = await startPeer({ folder })
    await first.training.announce(headOf(first.peerId, 'kept', 'artifact-1'))
    await first.stop()
    const again = await startPeer({ folder })
    assert.equal(again.peerId, first.peerId)
    assert.deepEqual(headsOf(again), ['kept'])
  })

  it('start all the same when the file of what they knew is damaged, and keep it aside', async () => {
    const folder = await testFolder()
    const first = await startPeer({ folder })
    await first.training.announce(headOf(first.peerId, 'lost', 'artifact-1'))
    await first.stop()
    const path = join(folder, 'state', 'announcements.cbor')
    await writeFile(path, (await readFile(path)).subarray(7))
    const again = await startPeer({ folder })
    assert.deepEqual(headsOf(again), [])
    assert.ok((await readFile(`${path}.damaged`)).length > 0)
  })

  it('find each other again after one was gone', async () => {
    const folder = await testFolder()
    const hub = await startPeer({ folder, listen: ['/ip4/127.0.0.1/tcp/0'] })
    const listen = hub.addresses.map((address) => address.replace(/\/p2p\/.*/, ''))
    const leaf = await startPeer({ bootstrap: hub.addresses })
    await until(() => leaf.training.peers.length === 1)
    await hub.stop()
    await until(() => leaf.training.peers.length === 0)
    const again = await startPeer({ folder, listen })
    await again.training.announce(headOf(again.peerId, 'after', 'artifact-1'))
    await until(() => headsOf(leaf).includes('after'))
  })

  it('refuse the addresses of peers that are none, and a network that cannot be', async () => {
    await assert.rejects(startPeer({ bootstrap: ['localhost:4001'] }), (error: ConfigError) => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.message, /\[0\]: "localhost:4001" is no multiaddress/)
      return true
    })
    await assert.rejects(startPeer({ network: 'a/b' }), ConfigError)
  })

  it('do not believe others about where they are', async () => {
    const honest = await startPeer()
    const liar = await startPeer({ bootstrap: honest.addresses })
    await until(() => honest.training.peers.length === 1 && liar.training.peers.length === 1)
    const [own] = honest.training.announcements
      .of('PeerDirectory')
      .filter(({ peer_id }) => peer_id === honest.peerId)
    await liar.training.announce({
      PeerDirectory: {
        ...own!,
        addresses: ['/ip4/6.6.6.6/tcp/6'],
        announced_at: '2099-01-01T00:00:00Z',
      },
    })
    await liar.training.announce(headOf(liar.peerId, 'marker', 'artifact-1'))
    await until(() => headsOf(honest).includes('marker'))
    const [still] = honest.training.announcements
      .of('PeerDirectory')
      .filter(({ peer_id }) => peer_id === honest.peerId)
    assert.deepEqual(still, own)
  })

  it('tell of gossip that is none, and go on', async () => {
    const peer = await startPeer()
    const node = await startNode()
    assert.equal(gossipOptions().globalSignaturePolicy, 'StrictSign')
    await node.dial(peer.libp2p.getMultiaddrs())
    const topic = `/burn-p2p/${NETWORK}/control`
    await until(() => node.services.pubsub.getSubscribers(topic).length === 1)
    const heads = headOf(peer.peerId, 'misplaced', 'artifact-1')
    const misplaced = { topic_path: topic, payload: heads, published_at: '2026-01-02T03:04:05Z' }
    for (const text of ['no JSON', '{}', JSON.stringify(misplaced)]) {
      await node.services.pubsub.publish(topic, Buffer.from(text))
    }
    await until(() => peer.problems.length >= 3)
    for (const { code, message } of peer.problems) {
      assert.equal(code, 'ERR_P2P_PROTOCOL')
      assert.match(message, new RegExp(`^${node.peerId.toString()} announces`))
    }
    assert.deepEqual(headsOf(peer), [])
  })
})

describe('an artifact of a peer', function () {
  this.timeout(30_000)
  const bytes = randomBytes(3_000_000)

  /** A peer that has the artifact in its store, and whether it offers it. */
  async function owner(offers: boolean, options = {}): Promise<TestPeer> {
    const peer = await startPeer(options)
    const artifact = await peer.training.store.storeArtifactBytes(
      SERVE_HEAD,
      bytes,
      chunkingScheme(262_144),
    )
    if (offers) peer.training.provide(artifact)
    return Object.assign(peer, { artifact })
  }

  const artifactOf = (peer: TestPeer) =>
    (peer as unknown as { artifact: { artifact_id: string } }).artifact

  it('is fetched from several peers at once, and verified', async () => {
    const owners = [await owner(true), await owner(true)]
    const fetcher = await startPeer({ bootstrap: owners.flatMap(({ addresses }) => addresses) })
    await until(() => fetcher.training.peers.length === 2)
    const { artifact_id } = artifactOf(owners[0]!)
    const from = owners.map(({ peerId }) => peerId)
    const { artifact, sources, fetchedBytes } = await fetcher.training.fetch(artifact_id, from)
    assert.equal(fetchedBytes, bytes.length)
    assert.ok(
      sources.every(({ chunks, lied }) => chunks > 0 && !lied),
      JSON.stringify(sources),
    )
    assert.ok(bytes.equals(await fetcher.training.store.materializeArtifactBytes(artifact)))
    const again = await fetcher.training.fetch(artifact_id, from)
    assert.equal(again.fetchedBytes, 0)
  })

  it('is fetched from a peer of whom another told, at the address that was announced', async () => {
    const hub = await startPeer()
    const far = await owner(true, { bootstrap: hub.addresses })
    const fetcher = await startPeer({ bootstrap: hub.addresses })
    await until(() =>
      fetcher.training.announcements
        .of('PeerDirectory')
        .some(({ peer_id, addresses }) => peer_id === far.peerId && addresses.length > 0),
    )
    assert.ok(!fetcher.training.peers.some(({ peerId }) => peerId === far.peerId))
    const report = await fetcher.training.fetch(artifactOf(far).artifact_id, [far.peerId])
    assert.equal(report.fetchedBytes, bytes.length)
  })

  it('is not served unless it is offered, nor when the offer was withdrawn', async () => {
    const peer = await owner(false)
    const fetcher = await startPeer({ bootstrap: peer.addresses })
    await until(() => fetcher.training.peers.length === 1)
    const { artifact_id } = artifactOf(peer)
    const refused = (error: ArtifactUnavailableError) => {
      assert.ok(error instanceof ArtifactUnavailableError)
      assert.deepEqual(error.reasons, [`${peer.peerId} does not offer it`])
      return true
    }
    await assert.rejects(fetcher.training.fetch(artifact_id, [peer.peerId]), refused)
    const stored = await peer.training.store.loadManifest(artifact_id)
    const withdraw = peer.training.provide(stored)
    const withdrawSecond = peer.training.provide(stored)
    withdraw()
    withdraw()
    assert.ok((await fetcher.training.control.manifest(peer.peerId, artifact_id)) !== null)
    withdrawSecond()
    await assert.rejects(fetcher.training.fetch(artifact_id, [peer.peerId]), refused)
  })

  it('goes on where it was when its peer comes back', async () => {
    const folder = await testFolder()
    const first = await owner(true, { folder })
    const { artifact_id } = artifactOf(first)
    const fetcher = await startPeer({ bootstrap: first.addresses })
    await until(() => fetcher.training.peers.length === 1)
    let withdrawn: Promise<void> | undefined
    const half = fetcher.training.fetch(artifact_id, [first.peerId], {
      onProgress: ({ chunks }) => {
        if (chunks >= 4) withdrawn ??= first.stop()
      },
    })
    await assert.rejects(half, ChunkSourcesExhaustedError)
    await withdrawn
    const second = await owner(true, { folder: await testFolder() })
    await fetcher.libp2p.dial(second.libp2p.getMultiaddrs())
    const report = await fetcher.training.fetch(artifact_id, [second.peerId])
    assert.ok(report.fetchedBytes < bytes.length, `${report.fetchedBytes} bytes`)
    assert.ok(bytes.equals(await fetcher.training.store.materializeArtifactBytes(report.artifact)))
  })

  it('is not sought at a peer that cannot be reached', async () => {
    const fetcher = await startPeer()
    const nobody = (await startNode()).peerId.toString()
    await assert.rejects(fetcher.training.fetch('artifact-1', [nobody]), ArtifactUnavailableError)
    await assert.rejects(fetcher.training.fetch('artifact-1', []), /there was no peer to ask/)
    await assert.rejects(fetcher.training.fetch('artifact-1', ['no id']), ArtifactUnavailableError)
  })
})
