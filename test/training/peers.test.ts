/** One trainer and one validator by themselves: what they keep, and what they refuse. */
import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  EmptyMergeCandidateError,
  MixedBaseHeadError,
  MixedContributionScopeError,
  NonPositiveContributionWeightError,
} from '../../lib/lineage/index.js'
import { UnknownChunkError, InvalidRecordError, UnknownHeadError } from '../../lib/store/index.js'
import { LeasePlanner, ShardCache } from '../../lib/data/index.js'
import type { HeadDescriptor } from '../../lib/schema/index.js'
import {
  canonicalHeadPath,
  readCanonicalHead,
  writeCanonicalHead,
} from '../../lib/store/canonical-head.js'
import { LocalNetwork } from '../../lib/swarm/index.js'
import { Trainer, type Contribution } from '../../lib/training/trainer.js'
import { Validator } from '../../lib/training/validator.js'
import { seen } from '../project/support.js'
import { Run, type RunOptions } from './support.js'

async function peersOf(options: RunOptions = {}) {
  const run = await Run.make(options)
  const registration = await run.project.datasetRegistration()
  const plan = await run.project.microshardPlan(registration)
  const { project, experiment, store } = run
  let members = 0
  /** Each in a network of its own, all over one store. */
  const alone = (peer: string) =>
    new LocalNetwork(`net-${++members}`).join(peer, { store, roles: [] })
  const trainer = (peer: string) =>
    new Trainer({
      project,
      experiment,
      swarm: alone(peer),
      cache: new ShardCache(join(run.peersFolder, peer)),
      planner: new LeasePlanner(),
      registration,
      plan,
      localState: null,
    })
  const validator = new Validator({ project, experiment, swarm: alone('validator') })
  const genesis = (await validator.genesis('peer-1')).head
  return {
    run,
    trainer,
    validator,
    genesis,
    [Symbol.asyncDispose]: () => run[Symbol.asyncDispose](),
  }
}

describe('a trainer', () => {
  it('keeps its model warm while the canonical head stays', async () => {
    await using parts = await peersOf()
    const trainer = parts.trainer('peer-1')
    const steps: unknown[] = []
    for (const window of [1, 2, 3]) {
      steps.push((await trainer.window(window, parts.genesis)).metrics.steps)
    }
    assert.deepEqual(steps, [2n, 4n, 6n])
    assert.equal(await parts.run.models(), 1n)
    await trainer.close()
    await trainer.close()
    assert.equal(await parts.run.models(), 0n)
  })

  it('takes a new canonical head over, and holds one model then too', async () => {
    await using parts = await peersOf({
      hooks: { reconcile_canonical_model: 'see([s["steps"] for s in args[:2]]) or usual(*args)' },
    })
    const { run, validator, genesis } = parts
    const trainer = parts.trainer('peer-1')
    const contribution = await trainer.window(1, genesis)
    const { head } = await validator.promote(1, genesis, [contribution])
    const { metrics } = await trainer.window(2, head)
    // The merge took half of two steps over; the plain workload's reconcile keeps the canonical model.
    assert.equal(metrics.steps, 3)
    assert.equal(await run.models(), 1n)
    assert.equal(await seen(run.project), '[2, 1.0]')
    await trainer.close()
  })

  it('replaces what it published for the same window before', async () => {
    await using parts = await peersOf()
    const { run, genesis } = parts
    const trainer = parts.trainer('peer-1')
    const before = await trainer.window(1, genesis)
    const again = await trainer.window(1, genesis)
    assert.equal(again.head.head_id, before.head.head_id)
    assert.notEqual(again.head.artifact_id, before.head.artifact_id)
    assert.deepEqual(await run.store.loadHead(before.head.head_id), again.head)
    assert.deepEqual(await run.store.loadReceipt(before.receipt.receipt_id), again.receipt)
    await trainer.close()
  })

  it('does not train on a canonical artifact that is damaged, and leaves no model behind', async () => {
    await using parts = await peersOf({ hooks: { train_window: 'fail("trained")' } })
    const { run, genesis } = parts
    await rm(join(run.store.root, 'artifacts', 'chunks'), { recursive: true })
    const trainer = parts.trainer('peer-1')
    await assert.rejects(trainer.window(1, genesis), UnknownChunkError)
    assert.equal(await run.models(), 0n)
  })

  it('leases the same shards for the same window, whenever it asks', async () => {
    await using parts = await peersOf()
    const one = parts.trainer('peer-1')
    const other = parts.trainer('peer-1')
    const { lease } = await one.window(1, parts.genesis)
    const again = (await other.window(1, parts.genesis)).lease
    assert.equal(again.lease_id, lease.lease_id)
    assert.deepEqual(again.microshards, lease.microshards)
    await one.close()
    await other.close()
  })
})

describe('a validator', () => {
  async function contributionTo(parts: Awaited<ReturnType<typeof peersOf>>): Promise<Contribution> {
    const trainer = parts.trainer('peer-1')
    const contribution = await trainer.window(1, parts.genesis)
    await trainer.close()
    return contribution
  }

  it('refuses what does not belong together, and promotes nothing', async () => {
    await using parts = await peersOf({ hooks: { merge_candidate_models: 'fail("asked")' } })
    const { run, validator, genesis } = parts
    const contribution = await contributionTo(parts)
    const changed = (changes: Partial<Contribution['receipt']>): Contribution[] => [
      { ...contribution, receipt: { ...contribution.receipt, ...changes } },
    ]
    const refusals = [
      [[], EmptyMergeCandidateError],
      [changed({ base_head_id: 'another' }), MixedBaseHeadError],
      [changed({ experiment_id: 'another' }), MixedContributionScopeError],
      [changed({ accepted_weight: 0 }), NonPositiveContributionWeightError],
      [changed({ accepted_weight: NaN }), NonPositiveContributionWeightError],
    ] as const
    for (const [contributions, error] of refusals) {
      await assert.rejects(validator.promote(1, genesis, contributions), error)
    }
    assert.deepEqual(await run.canonical(), genesis)
    assert.equal(await run.models(), 0n)
  })

  it('refuses a contribution whose artifact is not whole, and promotes nothing', async () => {
    await using parts = await peersOf()
    const { run, validator, genesis } = parts
    const contribution = await contributionTo(parts)
    for (const { chunk_id } of contribution.artifact.chunks) {
      await rm(run.store.chunkPath(chunk_id))
    }
    await assert.rejects(validator.promote(1, genesis, [contribution]), UnknownChunkError)
    assert.deepEqual(await run.canonical(), genesis)
    assert.equal(await run.models(), 0n)
  })

  it('evaluates on the split of the experiment', async () => {
    await using parts = await peersOf({
      hooks: { evaluate: 'see(args[1]) or usual(*args)' },
      experiment: { evaluation_split: { Custom: 'held out' } },
    })
    assert.equal(await seen(parts.run.project), "{'Custom': 'held out'}")
  })
})

describe('the canonical head of a store', () => {
  it('is none in a new store', async () => {
    await using run = await Run.make()
    assert.equal(await readCanonicalHead(run.store), null)
  })

  it('is the last that was written', async () => {
    await using parts = await peersOf()
    const { run, genesis } = parts
    const next: HeadDescriptor = { ...genesis, head_id: '../odd name', global_step: 1 }
    await run.store.storeHead(next)
    await writeCanonicalHead(run.store, next)
    assert.deepEqual(await readCanonicalHead(run.store), next)
  })

  it('that is damaged, or not there, is a typed error', async () => {
    await using run = await Run.make()
    const path = canonicalHeadPath(run.store)
    await mkdir(join(path, '..'), { recursive: true })
    await writeFile(path, '{"head_id": 3}')
    await assert.rejects(readCanonicalHead(run.store), InvalidRecordError)
    await writeFile(path, '{"head_id": "nowhere"}')
    await assert.rejects(readCanonicalHead(run.store), UnknownHeadError)
  })
})
