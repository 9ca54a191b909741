/** Roles that run by themselves on a swarm, each with a store of its own: windows, late peers, dead ones and bad ones. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { LeasePlanner, ShardCache } from '../../lib/data/index.js'
import { makeFolder } from '../../lib/files/make-folder.js'
import { timestampNow } from '../../lib/schema/index.js'
import { chunkingScheme } from '../../lib/store/index.js'
import { readCanonicalHead } from '../../lib/store/canonical-head.js'
import { LocalNetwork, type LocalSwarm, type PeerRole } from '../../lib/swarm/index.js'
import { headAnnouncement, updateAnnouncement } from '../../lib/training/announcements.js'
import {
  canonicalHead,
  trainOnSwarm,
  validateOnSwarm,
  type TrainerLoopOptions,
  type ValidatorLoopOptions,
} from '../../lib/training/index.js'
import { RoleLog } from './role-log.js'
import { openStore, Run, type RunOptions } from './support.js'

/** Peers of one experiment in one process, whose roles run until the test ends. */
class Peers implements AsyncDisposable {
  readonly #network: LocalNetwork
  readonly #ends: (() => Promise<void>)[] = []

  constructor(readonly run: Run) {
    this.#network = new LocalNetwork(run.experiment.network_id)
  }

  swarm(name: string, ...roles: PeerRole[]): LocalSwarm {
    return this.#network.join(name, { store: openStore(join(this.run.folder, name)), roles })
  }

  validate(swarm: LocalSwarm, options: ValidatorLoopOptions = {}): RoleLog {
    const { project, experiment } = this.run
    const signal = new AbortController()
    const given = { genesisAfterMs: 50, standbyMs: 300, ...options, signal: signal.signal }
    const log = new RoleLog(validateOnSwarm({ project, experiment, swarm }, given), signal)
    this.#ends.push(() => log.stop())
    return log
  }

  async train(swarm: LocalSwarm, options: TrainerLoopOptions = {}): Promise<RoleLog> {
    const { project, experiment, folder } = this.run
    const registration = await project.datasetRegistration()
    const root = join(folder, 'caches', swarm.peerId)
    await makeFolder(root)
    const signal = new AbortController()
    const parts = {
      ...{ project, experiment, swarm, registration, localState: null },
      ...{ cache: new ShardCache(root), planner: new LeasePlanner() },
      plan: await project.microshardPlan(registration),
    }
    const log = new RoleLog(trainOnSwarm(parts, { ...options, signal: signal.signal }), signal)
    this.#ends.push(() => log.stop())
    return log
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ends.map((end) => end()))
  }
}

function makeRun(options: RunOptions = {}): Promise<Run> {
  return Run.make({ factory: 'momentum:create_workload', ...options })
}

describe('roles that run on a swarm', function () {
  this.timeout(30_000)

  it('train window after window, each trainer on shards of its own', async () => {
    await using run = await makeRun()
    await using peers = new Peers(run)
    const validator = peers.validate(peers.swarm('v', 'Validator'), { windows: 4 })
    const a = await peers.train(peers.swarm('a', 'TrainerCpu'))
    const b = await peers.train(peers.swarm('b', 'TrainerCpu'))
    await validator.promoted(4)
    for (const { promotion } of validator.of('promoted').slice(1))
      assert.equal(promotion.from, 'merge')
    for (const window of [2, 3, 4]) {
      const [of, other] = [a, b].map((log) =>
        log.of('window').find((event) => event.window === window),
      )
      const mine = new Set(of!.contribution.lease.microshards)
      assert.ok(other!.contribution.lease.microshards.every((shard) => !mine.has(shard)))
    }
  })

  it('take in a trainer that joins late, from the head that is canonical then', async () => {
    await using run = await makeRun()
    await using peers = new Peers(run)
    const validator = peers.validate(peers.swarm('v', 'Validator'))
    await peers.train(peers.swarm('a', 'TrainerCpu'))
    await validator.promoted(2)
    const late = await peers.train(peers.swarm('b', 'TrainerCpu'))
    await late.until(() => late.of('window').length === 1)
    assert.ok(late.of('adopted')[0]!.head.global_step >= 2)
  })

  it('are not held up for long by a trainer that has leased and ended', async () => {
    await using run = await makeRun()
    await using peers = new Peers(run)
    const validator = peers.validate(peers.swarm('v', 'Validator'))
    const gone = peers.swarm('b', 'TrainerCpu')
    const a = await peers.train(peers.swarm('a', 'TrainerCpu'), { paceMs: 100 })
    const b = await peers.train(gone)
    await validator.promoted(2)
    await b.stop()
    gone.leave()
    const steps = validator.of('promoted').length
    const began = performance.now()
    await validator.until(() => validator.of('promoted').length >= steps + 2)
    assert.ok(performance.now() - began < 4000)
    await a.stop()
  })

  it('go on when the validator is silent: the next one takes over', async () => {
    await using run = await makeRun()
    await using peers = new Peers(run)
    const first = peers.swarm('v1', 'Validator')
    const second = peers.swarm('v2', 'Validator')
    const acting = peers.validate(first)
    const standby = peers.validate(second)
    await peers.train(peers.swarm('t', 'TrainerCpu'), { paceMs: 50 })
    await acting.promoted(2)
    assert.equal(standby.of('promoted').length, 0)
    await acting.stop()
    first.leave()
    await standby.promoted(4)
    const head = await readCanonicalHead(second.store)
    assert.ok(head!.global_step >= 4)
  })

  it('leave out a contribution that makes the loss worse, and say so', async () => {
    await using run = await makeRun()
    await using peers = new Peers(run)
    const liar = peers.swarm('z', 'TrainerCpu')
    const validator = peers.validate(peers.swarm('v', 'Validator'), { patienceMs: 500 })
    await validator.promoted(0)
    const honest = await peers.train(peers.swarm('a', 'TrainerCpu'))
    await validator.promoted(1)
    await poison(run, liar, validator)
    await validator.until(() => validator.of('dropped').length > 0)
    const [dropped] = validator.of('dropped')
    assert.equal(dropped!.peer_id, 'z')
    assert.equal(dropped!.reason, 'regression')
    await validator.promoted(dropped!.window)
    await honest.stop()
  })

  it('resume from their stores after all have ended', async () => {
    await using run = await makeRun()
    let step: number
    {
      await using peers = new Peers(run)
      const validator = peers.validate(peers.swarm('v', 'Validator'))
      await peers.train(peers.swarm('a', 'TrainerCpu'))
      await validator.promoted(3)
      step = validator.of('promoted').length - 1
    }
    await using peers = new Peers(run)
    const validator = peers.validate(peers.swarm('v', 'Validator'))
    await peers.train(peers.swarm('a', 'TrainerCpu'))
    await validator.promoted(step + 1)
    assert.ok(validator.of('resumed')[0]!.head.global_step >= step)
  })
})

/** Announces an update with a model that is far off, over each head, until one is judged. */
async function poison(run: Run, swarm: LocalSwarm, validator: RoleLog): Promise<void> {
  const { experiment } = run
  const send = async () => {
    const base = canonicalHead(swarm.announcements, experiment)!.head
    const head_id = `exp-z-window-${base.global_step + 1}`
    const artifact = await swarm.store.storeArtifactBytes(
      {
        kind: 'FullHead',
        head_id,
        base_head_id: base.head_id,
        precision: 'Fp32',
        model_schema_hash: 'schema',
        record_format: 'python-torch-safetensors',
      },
      Buffer.from('{"weight": 1e6}'),
      chunkingScheme(),
    )
    swarm.provide(artifact)
    const { study_id, experiment_id, revision_id } = experiment
    const scope = { study_id, experiment_id, revision_id }
    const head = {
      ...{ head_id, ...scope, artifact_id: artifact.artifact_id, parent_head_id: base.head_id },
      ...{ global_step: base.global_step + 1, created_at: timestampNow(), metrics: { loss: 0 } },
    }
    const receipt = {
      ...{
        receipt_id: `z-${base.global_step}`,
        peer_id: 'z',
        ...scope,
        base_head_id: base.head_id,
      },
      ...{ artifact_id: artifact.artifact_id, accepted_at: timestampNow(), accepted_weight: 1e9 },
      ...{ metrics: head.metrics, merge_cert_id: null },
    }
    const lease = { lease_id: 'lease', window_id: base.global_step + 1 }
    const of = { peer_id: 'z', head, receipt, quality_weight: 1, lease }
    await swarm.announce(headAnnouncement(experiment, 'z', head))
    await swarm.announce(updateAnnouncement(experiment, of))
  }
  while (validator.of('dropped').length === 0) {
    await send()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
