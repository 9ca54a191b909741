/** What every swarm owes its roles. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { AbortError } from '../../lib/errors.js'
import { timestampNow, type ArtifactDescriptor } from '../../lib/schema/index.js'
import { experimentOverlay, type HeadAnnouncement } from '../../lib/schema/records/network/index.js'
import { chunkingScheme, type FsArtifactStore } from '../../lib/store/index.js'
import { ArtifactUnavailableError, type Swarm } from '../../lib/swarm/index.js'
import { SERVE_HEAD } from '../store/support.js'

const EXPERIMENT = { network_id: 'contract', study_id: 'study-1', experiment_id: 'exp-1' } as const

/** Peers of one network, each of which knows of the others. */
export interface TestSwarms {
  /** That many peers, each with a store of its own. */
  start(count: number): Promise<Swarm[]>
  /** One more, which has come when the others have announced what they had to. */
  late(): Promise<Swarm>
  /** Ends one of them, as its maker would. */
  leave(swarm: Swarm): Promise<void>
}

/** The id of the network and of the experiment of which all peers of {@link TestSwarms} are. */
export const CONTRACT = { network: EXPERIMENT.network_id, experiments: [EXPERIMENT] }

/** Describes an implementation by what makes its peers, which end with the test. */
export function describeSwarm(name: string, swarms: TestSwarms): void {
  describe(`${name}, as a swarm`, function () {
    this.timeout(30_000)

    it('makes an announcement known to all, to its own peer too', async () => {
      const [first, second, third] = await started(swarms, 3)
      await second.announce(headOf(second, 'head-1'))
      assert.deepEqual(heads(second), ['head-1'])
      for (const peer of [first, third]) await until(() => heads(peer).includes('head-1'))
    })

    it('tells who comes later what was announced before', async () => {
      const [first] = await started(swarms, 1)
      await first.announce(headOf(first, 'before'))
      const late = await swarms.late()
      await until(() => heads(late).includes('before'))
    })

    it('keeps an announcement once that comes twice', async () => {
      const [first, second] = await started(swarms, 2)
      const announcement = headOf(first, 'head-1')
      await first.announce(announcement)
      await until(() => heads(second).length === 1)
      await second.announce(announcement)
      await first.announce(headOf(first, 'head-2'))
      await until(() => heads(second).includes('head-2'))
      assert.deepEqual([heads(first), heads(second)], Array(2).fill(['head-1', 'head-2']))
    })

    it('lets a role follow what is known and what comes, until its signal fires', async () => {
      const [first, second] = await started(swarms, 2)
      await first.announce(headOf(first, 'head-1'))
      await until(() => heads(second).length === 1)
      const stop = new AbortController()
      const seen: string[] = []
      const following = (async () => {
        for await (const { head } of second.announcements.follow('Head', stop)) {
          seen.push(head.head_id)
          if (seen.length === 1) await first.announce(headOf(first, 'head-2'))
          if (seen.length === 2) stop.abort()
        }
      })()
      await assert.rejects(following, AbortError)
      assert.deepEqual(seen, ['head-1', 'head-2'])
    })

    it('gives a slow role no more than is kept, the latest of each', async () => {
      const [peer] = await started(swarms, 1)
      const following = peer.announcements.follow('PeerDirectory')
      const first = following.next()
      const own = peer.announcements.of('PeerDirectory')
      if (own.length === 0) await peer.announce(directoryOf(peer, 1))
      await first
      for (let port = 2; port < 20; port++) {
        await peer.announce(directoryOf(peer, port))
      }
      const { value } = await following.next()
      assert.ok(value?.addresses.includes('/ip4/127.0.0.1/tcp/19'), JSON.stringify(value))
      const nothing = Symbol('nothing')
      const late = new Promise((resolve) => setTimeout(() => resolve(nothing), 50))
      assert.equal(await Promise.race([following.next(), late]), nothing)
    })

    it('ends what follows it when the peer leaves', async () => {
      const [peer] = await started(swarms, 1)
      const following = (async () => {
        for await (const record of peer.announcements.follow('Lease'))
          assert.fail(record.overlay.path)
      })()
      await swarms.leave(peer)
      await following
    })

    it('knows its peers and what they are for, and notices when one leaves', async () => {
      const [first, second] = await started(swarms, 2)
      await until(() => first.peers[0]?.roles !== undefined)
      assert.deepEqual(
        first.peers.map(({ peerId, roles }) => ({ peerId, roles })),
        [{ peerId: second.peerId, roles: ['TrainerCpu'] }],
      )
      await swarms.leave(second)
      await until(() => first.peers.length === 0)
    })

    it('brings an artifact from the peers that provide it into the own store', async () => {
      const [first, second, third] = await started(swarms, 3)
      const bytes = randomBytes(1_000_000)
      const artifact = await store(first.store, bytes)
      await store(second.store, bytes)
      for (const peer of [first, second]) peer.provide(artifact)
      const from = [first.peerId, second.peerId, third.peerId]
      const report = await third.fetch(artifact.artifact_id, from)
      assert.equal(report.fetchedBytes, bytes.length)
      assert.deepEqual(report.artifact, artifact)
      assert.ok(bytes.equals(await third.store.materializeArtifactBytes(artifact)))
      assert.equal((await third.fetch(artifact.artifact_id, from)).fetchedBytes, 0)
    })

    it('brings nothing that is not provided, or is no longer', async () => {
      const [first, second] = await started(swarms, 2)
      const artifact = await store(first.store, randomBytes(1000))
      const fetching = () => second.fetch(artifact.artifact_id, [first.peerId])
      await assert.rejects(fetching, ArtifactUnavailableError)
      const withdraw = first.provide(artifact)
      withdraw()
      await assert.rejects(fetching, ArtifactUnavailableError)
      first.provide(artifact)
      await fetching()
    })

    it('stops a fetch by its signal, and goes on with it later', async () => {
      const [first, second] = await started(swarms, 2)
      const artifact = await store(first.store, randomBytes(3_000_000))
      first.provide(artifact)
      const stop = new AbortController()
      const options = { signal: stop.signal, onProgress: () => stop.abort() }
      const from = [first.peerId]
      await assert.rejects(second.fetch(artifact.artifact_id, from, options), AbortError)
      const { fetchedBytes } = await second.fetch(artifact.artifact_id, from)
      assert.ok(fetchedBytes < 3_000_000, `${fetchedBytes} bytes`)
    })
  })
}

/** The first peers, as many as the test names. */
async function started(swarms: TestSwarms, count: number): Promise<[Swarm, Swarm, Swarm]> {
  const peers = await swarms.start(count)
  for (const peer of peers) await until(() => peer.peers.length === count - 1)
  return peers as [Swarm, Swarm, Swarm]
}

function headOf(swarm: Swarm, head_id: string): { readonly Head: HeadAnnouncement } {
  const now = timestampNow()
  const { study_id, experiment_id } = EXPERIMENT
  const head = {
    ...{ head_id, study_id, experiment_id, revision_id: 'rev-1', artifact_id: 'artifact-1' },
    ...{ parent_head_id: null, global_step: 0, created_at: now, metrics: {} },
  }
  const overlay = experimentOverlay(EXPERIMENT, 'Heads')
  return { Head: { overlay, provider_peer_id: swarm.peerId, head, announced_at: now } }
}

function directoryOf({ peerId, network }: Swarm, port: number) {
  return {
    PeerDirectory: {
      network_id: network,
      peer_id: peerId,
      addresses: [`/ip4/127.0.0.1/tcp/${port}`],
      advertised_roles: { roles: ['TrainerCpu' as const] },
      announced_at: `2099-01-01T00:00:${String(port).padStart(2, '0')}Z`,
    },
  }
}

const heads = (swarm: Swarm) => swarm.announcements.of('Head').map(({ head }) => head.head_id)

const store = (of: FsArtifactStore, bytes: Buffer): Promise<ArtifactDescriptor> =>
  of.storeArtifactBytes(SERVE_HEAD, bytes, chunkingScheme(65_536))

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!holds()) {
    assert.ok(performance.now() < deadline, `never: ${holds.toString()}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
