/** Peers and a validator over one store: what a run publishes, and what it refuses. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AbortError, ConfigError, HookRaisedError } from '../../lib/index.js'
import { EvaluationRefusedError } from '../../lib/errors.js'
import { LeasePlanner, MissingFetchEntryError } from '../../lib/data/index.js'
import { canonicalHeadPath, canonicalLineage } from '../../lib/store/canonical-head.js'
import { seen } from '../project/support.js'
import { EXAMPLES, experiment, idsOf, readJson, Run } from './support.js'

const heads = (run: Run) => idsOf(run.store.listHeads(), (head) => head.head_id)
const receipts = (run: Run) => idsOf(run.store.listReceipts(), (receipt) => receipt.receipt_id)
const manifests = (run: Run) => idsOf(run.store.listManifests(), (manifest) => manifest.artifact_id)

describe('a local run', () => {
  it('names heads and receipts as spec project#training-loop does, and yields what happens in order', async () => {
    await using run = await Run.make()
    const log = await run.train(2)
    assert.deepEqual(
      log.events.map(({ event }) => event),
      ['promoted', ...Array.from({ length: 2 }, () => ['window', 'window', 'promoted']).flat()],
    )
    assert.deepEqual(
      log.promotions().map(({ head, from }) => [head.head_id, from]),
      [
        ['exp-peer-1-genesis', 'genesis'],
        ['exp-merged-window-1', 'merge'],
        ['exp-merged-window-2', 'merge'],
      ],
    )
    assert.deepEqual(await heads(run), [
      'exp-merged-window-1',
      'exp-merged-window-2',
      'exp-peer-1-genesis',
      'exp-peer-1-window-1',
      'exp-peer-1-window-2',
      'exp-peer-2-window-1',
      'exp-peer-2-window-2',
    ])
    assert.deepEqual(await receipts(run), [
      'exp-peer-1-receipt-1',
      'exp-peer-1-receipt-2',
      'exp-peer-2-receipt-1',
      'exp-peer-2-receipt-2',
    ])
    assert.equal(await run.models(), 0n)
  })

  it('begins with an evaluated genesis head of the first peer, at step 0 and without a parent', async () => {
    await using run = await Run.make()
    const [{ head, artifact } = assert.fail()] = (await run.train(0)).promotions()
    assert.deepEqual(head, {
      head_id: 'exp-peer-1-genesis',
      study_id: 'study',
      experiment_id: 'exp',
      revision_id: 'rev-1',
      artifact_id: artifact.artifact_id,
      parent_head_id: null,
      global_step: 0,
      created_at: head.created_at,
      metrics: { accuracy: 0.75, loss: 1, steps: 0n },
    })
    assert.equal(artifact.kind, 'FullHead')
    assert.equal(artifact.head_id, head.head_id)
    assert.equal(artifact.base_head_id, null)
    assert.deepEqual(await run.canonical(), head)
    assert.deepEqual(await run.store.pinnedHeads(), new Set([head.head_id]))
    assert.deepEqual(await readJson(canonicalHeadPath(run.store)), { head_id: head.head_id })
  })

  it('has one line of canonical heads, each a step on, whose windows start from it', async () => {
    await using run = await Run.make()
    const log = await run.train(3)
    const lineage = await canonicalLineage(run.store, await run.canonical())
    assert.deepEqual(
      lineage.map(({ head_id, global_step, parent_head_id }) => [
        global_step,
        head_id,
        parent_head_id,
      ]),
      [
        [0, 'exp-peer-1-genesis', null],
        [1, 'exp-merged-window-1', 'exp-peer-1-genesis'],
        [2, 'exp-merged-window-2', 'exp-merged-window-1'],
        [3, 'exp-merged-window-3', 'exp-merged-window-2'],
      ],
    )
    assert.deepEqual(
      lineage,
      log.promotions().map(({ head }) => head),
    )
    for (const window of [1, 2, 3]) {
      for (const { head, artifact, receipt } of log.contributions(window)) {
        const base = lineage[window - 1]?.head_id
        assert.equal(head.parent_head_id, base)
        assert.equal(head.global_step, window)
        assert.equal(artifact.base_head_id, base)
        assert.equal(receipt.base_head_id, base)
        assert.equal(receipt.artifact_id, artifact.artifact_id)
        assert.deepEqual(await run.store.loadHead(head.head_id), head)
        assert.deepEqual(await run.store.loadReceipt(receipt.receipt_id), receipt)
      }
    }
  })

  it('receipts what the workload reported, and weighs by it', async () => {
    await using run = await Run.make()
    for (const { lease, receipt, data_receipt, metrics } of (await run.train(1)).contributions()) {
      // The plain workload counts ten examples for each batch; the plan estimates 16 for each shard.
      const batches = Math.ceil(lease.microshards.length / 2)
      assert.equal(metrics.batch_count, BigInt(batches))
      assert.equal(metrics.examples_processed, BigInt(10 * batches))
      assert.equal(data_receipt.examples_processed, 10 * batches)
      assert.equal(data_receipt.tokens_processed, 0)
      assert.equal(data_receipt.disposition, 'Accepted')
      assert.deepEqual(data_receipt.microshards, lease.microshards)
      assert.equal(receipt.accepted_weight, 10 * batches)
      assert.deepEqual(receipt.metrics, metrics)
      assert.equal(receipt.merge_cert_id, null)
    }
  })

  it('receipts the estimates of the plan where the workload does not count', async () => {
    await using run = await Run.make({ hooks: { train_window: '{"loss": 0.5}' } })
    for (const { lease, receipt, data_receipt } of (await run.train(1)).contributions()) {
      const examples = EXAMPLES * lease.microshards.length
      assert.equal(data_receipt.examples_processed, examples)
      assert.equal(receipt.accepted_weight, examples)
    }
  })

  it('leases within the budget; peers and windows may have different shards', async () => {
    const peers = ['peer-1', 'peer-2', 'peer-3']
    await using run = await Run.make({ peers, experiment: { budget_work_units: 3 } })
    const log = await run.train(2)
    const plan = await run.project.microshardPlan(await run.project.datasetRegistration())
    const planner = new LeasePlanner()
    const costs = new Map(
      plan.microshards.map((shard) => [shard.microshard_id, planner.cost(shard)]),
    )
    const leases = log.contributions().map(({ lease }) => lease)
    for (const { microshards, budget_work_units } of leases) {
      assert.equal(budget_work_units, 3)
      const cost = microshards.reduce((sum, id) => sum + (costs.get(id) ?? NaN), 0)
      assert.ok(cost > 0 && cost <= 3, `${cost}`)
      assert.equal(new Set(microshards).size, microshards.length)
    }
    assert.ok(new Set(leases.map(({ microshards }) => microshards.join())).size > 1)
    assert.equal(new Set(leases.map(({ lease_id }) => lease_id)).size, 6)
  })

  it('gives each peer its own cache, named safely whatever the peer is called', async () => {
    const peers = ['peer-1', '../../escape']
    await using run = await Run.make({ peers })
    await run.train(1)
    const names = await readdir(run.peersFolder)
    assert.equal(names.length, 2)
    assert.ok(names.includes('peer-1'))
    assert.ok(names.some((name) => name.startsWith('__burn_p2p_id_')))
    assert.deepEqual((await readdir(run.folder)).sort(), ['peers', 'shards', 'store'])
    assert.equal(existsSync(join(run.folder, '..', 'escape')), false)
  })

  it('merges in the order of the receipts, by what each did and how good it was', async () => {
    await using run = await Run.make({
      peers: ['peer-9', 'peer-10'],
      hooks: {
        train_window: '{**usual(*args), "examples_processed": 2 + n}',
        merge_candidate_models:
          'see([(c["peer_id"], c["head_id"], c["quality_weight"]) for c in args[1]]) or ' +
          'see(sorted(c["sample_weight"] for c in args[1])) or see(args[2]) or usual(*args)',
      },
      experiment: { merge_policy: 'WeightedMean' },
    })
    await run.train(1)
    const quality = 1 / 1.5
    assert.deepEqual(String(await seen(run.project)).split('\n'), [
      `[('peer-10', 'exp-peer-10-window-1', ${quality}), ('peer-9', 'exp-peer-9-window-1', ${quality})]`,
      '[3.0, 4.0]',
      "'WeightedMean'",
    ])
  })

  it('damps the merge with the root EMA before it evaluates and promotes it', async () => {
    await using run = await Run.make({
      peers: ['peer-1'],
      hooks: { apply_single_root_ema: 'see(args[2]) or usual(*args)' },
    })
    const log = await run.train(2)
    // Two batches a window; half of what is new is taken over.
    assert.deepEqual(
      log.promotions().map(({ head }) => head.metrics.steps),
      [0n, 1, 2],
    )
    assert.equal((await run.stateOf(await run.canonical())).steps, 2)
    assert.equal(await seen(run.project), "'QualityWeightedEma'\n'QualityWeightedEma'")
  })

  for (const [strategy, shown] of [
    ['Replace', "'Replace'"],
    [{ RootEma: { canonical_weight: 0.25 } }, "{'RootEma': {'canonical_weight': 0.25}}"],
  ] as const) {
    it(`reconciles a peer's model with each new canonical head by ${shown}`, async () => {
      await using run = await Run.make({
        hooks: { reconcile_canonical_model: 'see(args[2]) or usual(*args)' },
        experiment: { canonical_reconcile: strategy },
      })
      await run.train(3)
      // Both peers in windows 2 and 3; in window 1 there is nothing to reconcile with.
      assert.deepEqual(String(await seen(run.project)).split('\n'), Array(4).fill(shown))
    })
  }

  it('promotes the best candidate as it is when the workload declines to merge', async () => {
    await using run = await Run.make({
      peers: ['peer-1', 'peer-2', 'peer-3'],
      workloadConfig: { declines: true },
      hooks: {
        // The second window that is trained is the best, whosever it is.
        train_window: 'args[0].update(mark=n) or {**usual(*args), "loss": [0.5, 0.1, 0.9][n - 1]}',
        apply_single_root_ema: 'fail("nothing to damp")',
      },
    })
    const log = await run.train(1)
    const [, promotion] = log.promotions()
    assert.equal(promotion?.from, 'best candidate')
    assert.equal((await run.stateOf(await run.canonical())).mark, 2)
    const best = log.contributions().find(({ metrics }) => metrics.loss === 0.1)
    assert.equal(promotion.artifact.root_hash, best?.artifact.root_hash)
    assert.equal(promotion.head.head_id, 'exp-merged-window-1')
    assert.equal(await run.models(), 0n)
  })

  it('keeps the canonical artifact and drops those that led to it; heads and receipts stay', async () => {
    await using run = await Run.make()
    const log = await run.train(3)
    const canonical = await run.canonical()
    assert.deepEqual(await manifests(run), [canonical.artifact_id])
    const { chunks } = await run.store.loadManifest(canonical.artifact_id)
    assert.deepEqual(
      await readdir(join(run.store.root, 'artifacts', 'chunks')),
      chunks.map(({ chunk_id }) => `${chunk_id}.chunk`),
    )
    assert.deepEqual(await run.store.pinnedHeads(), new Set([canonical.head_id]))
    assert.equal((await heads(run)).length, 1 + 3 * 3)
    assert.equal((await receipts(run)).length, 3 * 2)
    assert.equal(log.contributions().length, 3 * 2)
  })

  it('needs a peer, and each peer once', async () => {
    for (const peers of [[], ['peer-1', 'peer-2', 'peer-1']]) {
      await using run = await Run.make({ peers })
      await assert.rejects(
        run.train(1),
        (error) => error instanceof ConfigError && error.issues[0]?.path === 'peers',
      )
      assert.equal(existsSync(run.store.root), false)
    }
  })

  for (const field of ['study_id', 'experiment_id', 'revision_id'] as const) {
    it(`does not go on with a store of another ${field}`, async () => {
      await using run = await Run.make()
      await run.train(1)
      const before = await run.canonical()
      const other = { ...experiment, [field]: 'other' }
      const { project, store, peers, peersFolder } = run
      const { localTraining } = await import('../../lib/training/local-training.js')
      const parts = { project, store, peers, peersFolder, experiment: other }
      await assert.rejects(
        localTraining(parts, 2).next(),
        (error) =>
          error instanceof ConfigError &&
          error.issues[0]?.path === field &&
          error.message.includes('use another output folder'),
      )
      assert.deepEqual(await run.canonical(), before)
    })
  }
})

describe('a local run that fails', () => {
  it('because a merge evaluates to NaN leaves the canonical head as it was', async () => {
    for (const metric of ['loss', 'accuracy']) {
      await using run = await Run.make({
        // The first evaluation is of the genesis, the second of the first merge.
        hooks: {
          evaluate: `{**usual(*args), "${metric}": float("nan")} if n > 2 else usual(*args)`,
        },
      })
      await assert.rejects(
        run.train(3),
        (error) =>
          error instanceof EvaluationRefusedError &&
          error.message ===
            `Cannot promote exp-merged-window-2: its evaluation has ${metric} NaN; the canonical head stays`,
      )
      assert.equal((await run.canonical()).head_id, 'exp-merged-window-1')
      assert.deepEqual(await run.store.pinnedHeads(), new Set(['exp-merged-window-1']))
      assert.ok(!(await heads(run)).includes('exp-merged-window-2'))
      assert.equal(await run.models(), 0n)
    }
  })

  it('because an evaluation raises leaves the canonical head as it was', async () => {
    await using run = await Run.make({
      hooks: { evaluate: 'fail("no test data") if n > 1 else usual(*args)' },
    })
    await assert.rejects(run.train(1), HookRaisedError)
    assert.equal((await run.canonical()).global_step, 0)
    assert.equal(await run.models(), 0n)
  })

  it('because one peer fails throws that once the others have published', async () => {
    await using run = await Run.make({
      peers: ['peer-1', 'peer-2', 'peer-3'],
      hooks: { train_window: 'fail("no memory") if n == 5 else usual(*args)' },
    })
    await assert.rejects(
      run.train(3),
      (error) => error instanceof HookRaisedError && error.message.includes('no memory'),
    )
    assert.equal((await run.canonical()).head_id, 'exp-merged-window-1')
    // Five of six windows of training were published.
    assert.equal((await receipts(run)).length, 5)
    assert.equal(await run.models(), 0n)
  })

  for (const hook of ['merge_candidate_models', 'apply_single_root_ema']) {
    it(`because ${hook} raises frees all models`, async () => {
      await using run = await Run.make({ hooks: { [hook]: 'fail("shapes differ")' } })
      await assert.rejects(run.train(1), HookRaisedError)
      assert.equal((await run.canonical()).global_step, 0)
      assert.equal(await run.models(), 0n)
    })
  }

  it('because a peer cannot take the canonical head over frees all models', async () => {
    for (const hook of ['load_model_artifact_path', 'reconcile_canonical_model']) {
      await using run = await Run.make({ hooks: { [hook]: 'fail("not my layers")' } })
      await assert.rejects(run.train(2), HookRaisedError)
      assert.equal(await run.models(), 0n)
    }
  })

  it('because no model can be made leaves an empty store and a typed error', async () => {
    await using run = await Run.make({ hooks: { init_model: 'fail("no memory")' } })
    await assert.rejects(run.train(1), HookRaisedError)
    assert.equal(existsSync(canonicalHeadPath(run.store)), false)
  })

  it('because the manifest lists no leased shard says so, and trains on nothing', async () => {
    await using run = await Run.make({ hooks: { train_window: 'fail("trained")' } })
    const path = join(run.shards, 'fetch-manifest.json')
    const manifest = JSON.parse(await readFile(path, 'utf8')) as { entries: unknown[] }
    const { writeFile } = await import('node:fs/promises')
    await writeFile(path, JSON.stringify({ ...manifest, entries: [] }))
    await assert.rejects(run.train(1), MissingFetchEntryError)
    assert.equal((await run.canonical()).global_step, 0)
  })
})

describe('a local run that is stopped', () => {
  it('in the middle of a window leaves a store that can be gone on with', async () => {
    await using run = await Run.make({
      hooks: { train_window: '[time.sleep(0.01) for _ in range(500)] if n == 4 else usual(*args)' },
    })
    const stop = new AbortController()
    await assert.rejects(async () => {
      for await (const event of run.begin(3, { signal: stop.signal })) {
        if (event.event === 'promoted' && event.window === 1) setTimeout(() => stop.abort(), 200)
      }
    }, AbortError)
    assert.equal((await run.canonical()).head_id, 'exp-merged-window-1')
    assert.equal(await run.models(), 0n)

    const log = await run.train(3)
    assert.equal(log.events[0]?.event, 'resumed')
    assert.equal((await run.canonical()).head_id, 'exp-merged-window-3')
    assert.equal(await run.models(), 0n)
  })

  it('before it begins does nothing', async () => {
    await using run = await Run.make()
    await assert.rejects(run.train(1, { signal: AbortSignal.abort() }), AbortError)
    assert.equal(existsSync(canonicalHeadPath(run.store)), false)
    assert.equal(await run.models(), 0n)
  })

  it('because its consumer leaves ends the windows of the other peers and frees all models', async () => {
    await using run = await Run.make({
      peers: ['peer-1', 'peer-2', 'peer-3'],
      // The first is the genesis, the second that of the contribution which the consumer sees.
      hooks: {
        materialize_model_artifact_path:
          'usual(*args) if n < 3 else [time.sleep(0.01) for _ in range(500)]',
      },
    })
    const began = performance.now()
    for await (const { event } of run.begin(1)) if (event === 'window') break
    assert.ok(performance.now() - began < 4000)
    assert.equal(await run.models(), 0n)
    assert.equal((await receipts(run)).length, 1)
    assert.equal((await run.canonical()).global_step, 0)
  })
})
