/** Trainers and validators of ours among real peers of burn_p2p: who trains, who merges, who comes late, who is killed. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { LeasePlanner, ShardCache } from '../../lib/data/index.js'
import { makeFolder } from '../../lib/files/make-folder.js'
import { trainOnSwarm, validateOnSwarm } from '../../lib/training/index.js'
import { afterTest, NETWORK, testFolder, until } from '../p2p/nodes.js'
import { startPeer, type TestPeer } from '../p2p/peers.js'
import { RoleLog } from '../training/role-log.js'
import { Run } from '../training/support.js'
import { EXPERIMENT, REVISION, RustPeer, rustDescribe, STUDY } from './peer.js'

/** A run over the workload of the Rust peer, in Python. */
async function scalarRun(): Promise<Run> {
  const ids = { study_id: STUDY, experiment_id: EXPERIMENT, revision_id: REVISION }
  const run = await Run.make({
    factory: 'scalar:create_workload',
    schema: 'scalar-schema',
    experiment: { network_id: NETWORK, ...ids },
  })
  afterTest(() => run[Symbol.asyncDispose]())
  return run
}

async function train(run: Run, peer: TestPeer): Promise<RoleLog> {
  const { project, experiment, folder } = run
  const registration = await project.datasetRegistration()
  const root = join(folder, 'caches', peer.peerId)
  await makeFolder(root)
  const parts = {
    ...{ project, experiment, swarm: peer.training, registration, localState: null },
    ...{ cache: new ShardCache(root), planner: new LeasePlanner() },
    plan: await project.microshardPlan(registration),
  }
  return started((signal) => trainOnSwarm(parts, { signal }))
}

function validate(run: Run, peer: TestPeer): RoleLog {
  const { project, experiment } = run
  const parts = { project, experiment, swarm: peer.training }
  return started((signal) => validateOnSwarm(parts, { signal, genesisAfterMs: 50 }))
}

function started(role: (signal: AbortSignal) => ReturnType<typeof trainOnSwarm>): RoleLog {
  const controller = new AbortController()
  const log = new RoleLog(role(controller.signal), controller)
  afterTest(() => log.stop())
  return log
}

/** A dataset that the Rust peers of a test share. */
const sharedDataset = async () => join(await testFolder(), 'dataset')

rustDescribe('training among Rust peers', function () {
  this.timeout(110_000)

  it('a trainer of ours is merged by a Rust validator for ten windows', async () => {
    const validator = await RustPeer.start({ mode: 'validator' })
    await validator.event('genesis')
    const run = await scalarRun()
    const ours = await startPeer({ roles: ['TrainerCpu'], bootstrap: validator.addresses })
    const log = await train(run, ours)
    const promoted = await validator.event('promoted', ({ step }) => step === 10)
    assert.equal(promoted.source, ours.peerId)
    await log.until(() => log.of('window').length >= 10)
    for (const { contribution, window } of log.of('window').slice(0, 10)) {
      const { receipts } = await validator.event('promoted', ({ step }) => step === window)
      assert.deepEqual(receipts, [contribution.receipt.receipt_id])
    }
  })

  it('two Rust trainers are merged by a validator of ours for five windows, both in most', async () => {
    const run = await scalarRun()
    const ours = await startPeer({ roles: ['Validator'] })
    const log = validate(run, ours)
    await log.promoted(0)
    const dataset = await sharedDataset()
    const options = { mode: 'trainer', bootstrap: ours.addresses, windows: 10, dataset } as const
    const trainers = [await RustPeer.start(options), await RustPeer.start(options)]
    await log.promoted(5)
    const merged = receiptsBy(ours)
    for (const trainer of trainers) {
      await trainer.event('adopted', ({ step }) => step === 5)
      assert.ok(count(merged, trainer.peerId) >= 4, JSON.stringify([...merged]))
    }
  })

  it('trainers of both kinds are merged by a validator of ours, none starves', async () => {
    const run = await scalarRun()
    const validator = await startPeer({ roles: ['Validator'] })
    const log = validate(run, validator)
    await log.promoted(0)
    const bootstrap = validator.addresses
    const ours = await startPeer({ roles: ['TrainerCpu'], bootstrap })
    const rust = await RustPeer.start({ mode: 'trainer', bootstrap, windows: 12 })
    await train(run, ours)
    await log.promoted(5)
    const merged = receiptsBy(validator)
    assert.ok(count(merged, ours.peerId) >= 4, JSON.stringify([...merged]))
    assert.ok(count(merged, rust.peerId) >= 3, JSON.stringify([...merged]))
  })

  it('trainers of both kinds are merged by a Rust validator, none starves', async () => {
    const validator = await RustPeer.start({ mode: 'validator' })
    await validator.event('genesis')
    const bootstrap = validator.addresses
    const run = await scalarRun()
    const ours = await startPeer({ roles: ['TrainerCpu'], bootstrap })
    const rust = await RustPeer.start({ mode: 'trainer', bootstrap, windows: 100 })
    await train(run, ours)
    const both = [ours.peerId, rust.peerId]
    const parts = () => both.map((peer) => count(receiptsBy(ours), peer))
    // It promotes whatever it has first, so that who is faster has the larger part.
    await until(() => parts().every((of) => of >= 2))
  })

  it('a Rust trainer that joins at window 5, and is killed and comes back, trains along', async () => {
    const run = await scalarRun()
    const validator = await startPeer({ roles: ['Validator'] })
    const log = validate(run, validator)
    await log.promoted(0)
    const bootstrap = validator.addresses
    const ours = await startPeer({ roles: ['TrainerCpu'], bootstrap })
    await train(run, ours)
    await log.promoted(5)
    const storage = join(await testFolder(), 'storage')
    const options = { mode: 'trainer', bootstrap, windows: 100, storage } as const
    const first = await RustPeer.start(options)
    const adopted = await first.event('adopted')
    assert.ok((adopted.step as number) >= 5)
    await untilMerged(log, validator, first.peerId)
    first.kill('SIGKILL')
    await first.stop()
    const step = log.of('promoted').length
    await log.until(() => log.of('promoted').length >= step + 3)
    const again = await RustPeer.start(options)
    assert.equal(again.peerId, first.peerId)
    const known = count(receiptsBy(validator), first.peerId)
    await log.until(() => count(receiptsBy(validator), again.peerId) > known)
  })
})

async function untilMerged(log: RoleLog, validator: TestPeer, peer: string): Promise<void> {
  await log.until(() => count(receiptsBy(validator), peer) > 0)
}

/** The receipts that a peer knows to be merged, a set for each merge. */
function receiptsBy({ training }: TestPeer): Map<string, readonly string[]> {
  const merges = training.announcements.of('Merge')
  return new Map(
    merges.map(({ certificate }) => [
      certificate.merged_head_id,
      certificate.contribution_receipts,
    ]),
  )
}

/** In how many merges a peer has a part. */
function count(merged: Map<string, readonly string[]>, peer: string): number {
  return [...merged.values()].filter((receipts) => receipts.some((id) => id.includes(peer))).length
}
