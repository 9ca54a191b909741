/** A validator and trainers as peers of a network on loopback, each with a store of its own. */
import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LeasePlanner, ShardCache } from '../../lib/data/index.js'
import type { Swarm } from '../../lib/swarm/index.js'
import { announcedUpdates, canonicalHead, Trainer, Validator } from '../../lib/training/index.js'
import { until } from '../p2p/nodes.js'
import { startPeer, type TestPeer } from '../p2p/peers.js'
import { Run } from '../training/support.js'

const WINDOWS = 3

describe('a validator and trainers on a network', function () {
  this.timeout(120_000)

  it('promote the very artifacts that they promote in one process', async () => {
    const experiments = [{ study_id: 'study', experiment_id: 'exp' }]
    const first = await startPeer({ roles: ['Validator'], experiments })
    const bootstrap = first.addresses
    const peers: TestPeer[] = []
    for (let count = 0; count < 3; count++) {
      peers.push(await startPeer({ roles: ['TrainerCpu'], experiments, bootstrap }))
    }
    await using run = await Run.make({
      peers: peers.map(({ peerId }) => peerId),
      factory: 'momentum:create_workload',
    })
    const expected = (await run.train(WINDOWS))
      .promotions()
      .map(({ artifact }) => artifact.artifact_id)
    const { project, experiment } = run
    const registration = await project.datasetRegistration()
    const plan = await project.microshardPlan(registration)
    const trainerOf = async (swarm: Swarm) => {
      const cache = join(run.folder, 'network', swarm.peerId)
      await mkdir(cache, { recursive: true })
      const parts = { project, experiment, swarm, registration, plan, localState: null }
      return new Trainer({ ...parts, cache: new ShardCache(cache), planner: new LeasePlanner() })
    }
    const validator = new Validator({ project, experiment, swarm: first.training })
    const trainers = await Promise.all(peers.map(({ training }) => trainerOf(training)))
    const genesis = await validator.genesis(peers[0]!.peerId)
    const ids = [genesis.artifact.artifact_id]
    for (let window = 1; window <= WINDOWS; window++) {
      for (const [index, trainer] of trainers.entries()) {
        const known = peers[index]!.training.announcements
        const step = () => canonicalHead(known, experiment)?.head.global_step
        await until(() => step() === window - 1)
        await trainer.window(window, canonicalHead(known, experiment)!.head)
      }
      const known = first.training.announcements
      const base = canonicalHead(known, experiment)!.head
      await until(() => announcedUpdates(known, experiment, window, base).length === 3)
      const { contributions, left } = await validator.collect(window, base)
      assert.deepEqual(left, [])
      ids.push((await validator.promote(window, base, contributions)).artifact.artifact_id)
    }
    assert.deepEqual(ids, expected)
    for (const trainer of trainers) await trainer.close()
    validator.close()
  })
})
