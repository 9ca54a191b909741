/** Trainers and a validator that share nothing but a swarm: each has a store of its own, as over a network. */
import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { HeadDescriptor, PeerId } from '../../lib/schema/index.js'
import { ArtifactUnavailableError, LocalNetwork, type LocalSwarm } from '../../lib/swarm/index.js'
import { headAnnouncement, mergeAnnouncement } from '../../lib/training/announcements.js'
import {
  announcedUpdates,
  canonicalHead,
  Validator,
  type Contribution,
} from '../../lib/training/index.js'
import { trainerOf, trainOnSwarms } from './roles-support.js'
import { openStore, Run } from './support.js'

const PEERS = ['peer-1', 'peer-2', 'peer-3']

describe('roles with a store each', () => {
  let run: Run
  let network: LocalNetwork
  let made: number
  beforeEach(async () => {
    run = await Run.make({ peers: PEERS, factory: 'momentum:create_workload' })
    network = new LocalNetwork(run.experiment.network_id)
    made = 0
  })
  afterEach(() => run[Symbol.asyncDispose]())

  async function member(peer: PeerId): Promise<LocalSwarm> {
    const root = join(run.folder, 'stores', `${peer}-${++made}`)
    await mkdir(root, { recursive: true })
    return network.join(peer, { store: openStore(root), roles: [] })
  }

  it('promote the artifacts that peers over one store promote', async () => {
    const expected = (await run.train(3)).promotions().map(({ artifact }) => artifact.artifact_id)
    const validator = await member('validator')
    const swarms = await Promise.all(PEERS.map(member))
    assert.deepEqual(await trainOnSwarms(run, validator, swarms, 3), expected)
    assert.equal(await run.models(), 0n)
  })

  describe('of which one', () => {
    let validator: Validator
    let swarm: LocalSwarm
    let base: HeadDescriptor
    let swarms: LocalSwarm[]
    let contributions: Contribution[]
    beforeEach(async () => {
      const { project, experiment } = run
      swarm = await member('validator')
      validator = new Validator({ project, experiment, swarm })
      base = (await validator.genesis('peer-1')).head
      swarms = await Promise.all(PEERS.map(member))
      contributions = []
      for (const other of swarms) {
        const trainer = await trainerOf(run, other)
        contributions.push(await trainer.window(1, base))
        // What it offers ends with it; this test says what is offered.
        await trainer.close()
        other.provide(contributions.at(-1)!.artifact)
      }
    })

    it('has lost its artifact is left out of the window, with the reason', async () => {
      await rm(join(swarms[1]!.store.root, 'artifacts', 'chunks'), { recursive: true })
      const collected = await validator.collect(1, base)
      assert.deepEqual(
        collected.contributions.map(({ peer_id }) => peer_id),
        ['peer-1', 'peer-3'],
      )
      assert.deepEqual(
        collected.left.map(({ peer_id }) => peer_id),
        ['peer-2'],
      )
      assert.ok(collected.left[0]?.error instanceof Error)
      const { head } = await validator.promote(1, base, collected.contributions)
      assert.equal(head.global_step, 1)
    })

    it('has left the network is left out as well', async () => {
      swarms[2]!.leave()
      const { left } = await validator.collect(1, base)
      assert.deepEqual(
        left.map(({ peer_id, error }) => [peer_id, error instanceof ArtifactUnavailableError]),
        [['peer-3', true]],
      )
    })

    it('announces a window twice counts once, with the later one', async () => {
      const known = swarm.announcements
      const update = known.of('Update').find(({ update }) => update.peer_id === 'peer-1')!
      await swarms[0]!.announce({
        Update: { ...update, update: { ...update.update, sample_weight: 7 } },
      })
      const updates = announcedUpdates(known, run.experiment, 1, base)
      assert.deepEqual(
        updates.map(({ update }) => [update.peer_id, update.sample_weight === 7]),
        [
          ['peer-1', true],
          ['peer-2', false],
          ['peer-3', false],
        ],
      )
    })

    it('announces for another experiment, window or base is not heard', async () => {
      const known = swarm.announcements
      const update = known.of('Update').find(({ update }) => update.peer_id === 'peer-1')!
      for (const changes of [
        { experiment_id: 'another' },
        { revision_id: 'another' },
        { window_id: 2 },
        { base_head_id: 'another' },
      ]) {
        const peer_id = `stranger-${JSON.stringify(changes)}`
        await swarms[0]!.announce({
          Update: { ...update, update: { ...update.update, peer_id, ...changes } },
        })
      }
      const updates = announcedUpdates(known, run.experiment, 1, base)
      assert.deepEqual(
        updates.map(({ update }) => update.peer_id),
        PEERS,
      )
    })

    it('announces a head that no merge promoted does not become canonical', async () => {
      const known = swarm.announcements
      assert.equal(canonicalHead(known, run.experiment)?.head.head_id, base.head_id)
      const { head } = await validator.promote(
        1,
        base,
        (await validator.collect(1, base)).contributions,
      )
      const canonical = canonicalHead(swarms[0]!.announcements, run.experiment)
      assert.deepEqual(canonical, { head, providers: ['validator'] })
    })

    it('announces a promotion far above its base, or over another, does not make it canonical', async () => {
      const { experiment } = run
      const liar = swarms[0]!
      const lie = async (parent_head_id: string, global_step: number, over: string) => {
        const head = { ...contributions[0]!.head, head_id: `lie-${global_step}`, parent_head_id }
        const told = { ...head, global_step }
        await liar.announce(headAnnouncement(experiment, liar.peerId, told))
        await liar.announce(mergeAnnouncement(experiment, liar.peerId, told, over, []))
      }
      await lie(base.head_id, 2 ** 40, base.head_id)
      await lie('elsewhere', 7, base.head_id)
      assert.equal(canonicalHead(swarm.announcements, experiment)?.head.head_id, base.head_id)
      await lie(base.head_id, 1, base.head_id)
      assert.equal(canonicalHead(swarm.announcements, experiment)?.head.head_id, 'lie-1')
    })
  })
})
