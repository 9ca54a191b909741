import assert from 'node:assert/strict'

import fc from 'fast-check'

import {
  CheckpointCatalog,
  EmaFlow,
  EmaFlowRecord,
  isComplete,
  type MergeCandidate,
} from '../../lib/lineage/index.js'
import type {
  ArtifactDescriptor,
  ContributionReceipt,
  HeadDescriptor,
} from '../../lib/schema/index.js'

const artifact = (
  id: string,
  changes: Partial<ArtifactDescriptor> = {},
  chunks: readonly string[] = [],
): ArtifactDescriptor => ({
  artifact_id: id,
  kind: 'FullHead',
  head_id: null,
  base_head_id: null,
  precision: 'Fp32',
  model_schema_hash: 'schema',
  record_format: 'safetensors',
  bytes_len: chunks.length,
  chunks: chunks.map((chunk, index) => ({
    chunk_id: chunk,
    offset_bytes: index,
    length_bytes: 1,
    chunk_hash: chunk,
  })),
  root_hash: `root-${id}`,
  ...changes,
})

const head = (id: string, artifactId: string, parent: string | null): HeadDescriptor => ({
  head_id: id,
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  artifact_id: artifactId,
  parent_head_id: parent,
  global_step: 1,
  created_at: '2026-01-02T03:04:05Z',
  metrics: {},
})

const receipt = (
  id: string,
  artifactId: string,
  changes: Partial<ContributionReceipt> = {},
): ContributionReceipt => ({
  receipt_id: id,
  peer_id: `peer-${id}`,
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  base_head_id: 'root',
  artifact_id: artifactId,
  accepted_at: '2026-01-02T03:04:05Z',
  accepted_weight: 1,
  metrics: {},
  merge_cert_id: null,
  ...changes,
})

const candidate = (contributions: readonly ContributionReceipt[]): MergeCandidate => ({
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  base_head_id: 'root',
  policy: 'WeightedMean',
  contributions,
})

describe('the catalogue', () => {
  it('refuses an artifact or a head that it has already', () => {
    const catalog = new CheckpointCatalog()
    catalog.insertArtifact(artifact('a'))
    assert.throws(() => catalog.insertArtifact(artifact('a')), {
      code: 'ERR_CHECKPOINT_DUPLICATE_ARTIFACT',
      artifactId: 'a',
      message: /^artifact already exists: "a"/,
    })
    catalog.insertHead(head('h', 'a', null))
    assert.throws(() => catalog.insertHead(head('h', 'a', null)), {
      code: 'ERR_CHECKPOINT_DUPLICATE_HEAD',
      message: /^head already exists: "h"/,
    })
  })

  it('refuses a head whose artifact or parent it does not have', () => {
    const catalog = new CheckpointCatalog()
    assert.throws(() => catalog.insertHead(head('h', 'a', null)), {
      code: 'ERR_CHECKPOINT_UNKNOWN_ARTIFACT',
      message: /^artifact not found: "a"/,
    })
    catalog.insertArtifact(artifact('a'))
    assert.throws(() => catalog.insertHead(head('h', 'a', 'parent')), {
      code: 'ERR_CHECKPOINT_MISSING_PARENT_HEAD',
      message: /^parent head not found: "parent"/,
    })
    assert.throws(() => catalog.headChain('h'), {
      code: 'ERR_CHECKPOINT_UNKNOWN_HEAD',
      message: /^head not found: "h"/,
    })
  })

  it('refuses a head whose artifact is bound to another head', () => {
    const catalog = new CheckpointCatalog()
    catalog.insertArtifact(artifact('a', { head_id: 'other' }))
    assert.throws(() => catalog.insertHead(head('h', 'a', null)), {
      code: 'ERR_CHECKPOINT_HEAD_ARTIFACT_MISMATCH',
      message: /head "h" references artifact "a" with incompatible head binding/,
    })
    catalog.insertHead(head('other', 'a', null))
  })

  it('refuses a delta that does not start from the parent of its head', () => {
    const catalog = new CheckpointCatalog()
    catalog.insertArtifact(artifact('a'))
    catalog.insertHead(head('root', 'a', null))
    for (const [id, base] of [
      ['d1', 'elsewhere'],
      ['d2', null],
    ] as const) {
      catalog.insertArtifact(artifact(id, { kind: 'DeltaPack', base_head_id: base }))
      assert.throws(() => catalog.insertHead(head('next', id, 'root')), {
        code: 'ERR_CHECKPOINT_DELTA_BASE_HEAD_MISMATCH',
        message: new RegExp(`delta artifact "${id}" must reference base head "root"`),
      })
    }
    catalog.insertArtifact(artifact('d3', { kind: 'DeltaPack', base_head_id: 'root' }))
    catalog.insertHead(head('next', 'd3', 'root'))
    assert.deepEqual(
      catalog.headChain('next').map(({ head_id }) => head_id),
      ['root', 'next'],
    )
  })

  it('plans a sync of what is missing in the whole chain, chunks sorted', () => {
    const catalog = new CheckpointCatalog()
    catalog.insertArtifact(artifact('a', {}, ['root-a', 'root-b']))
    catalog.insertHead(head('root', 'a', null))
    catalog.insertArtifact(
      artifact('b', { kind: 'DeltaPack', base_head_id: 'root' }, ['next', 'next', 'root-b']),
    )
    catalog.insertHead(head('next', 'b', 'root'))
    const plan = catalog.planSync({
      target_head_id: 'next',
      local_heads: new Set(['root']),
      local_artifacts: new Set(['a']),
      local_chunks: new Set(['root-a']),
    })
    assert.deepEqual(plan, {
      target_head_id: 'next',
      missing_heads: ['next'],
      missing_artifacts: ['b'],
      missing_chunks: ['next', 'root-b'],
    })
    assert(!isComplete(plan))
    const none = catalog.planSync({
      target_head_id: 'next',
      local_heads: new Set(['root', 'next']),
      local_artifacts: new Set(['a', 'b']),
      local_chunks: new Set(['root-a', 'root-b', 'next']),
    })
    assert(isComplete(none))
  })

  it('agrees with a plain model, whatever is inserted in whatever order', () => {
    const ids = fc.constantFrom<string[]>('a', 'b', 'c', 'd', '__proto__')
    const command = fc.oneof(
      fc.record({
        type: fc.constant('artifact' as const),
        id: ids,
        head_id: fc.option(ids),
        base_head_id: fc.option(ids),
        kind: fc.constantFrom('FullHead' as const, 'DeltaPack' as const),
        chunks: fc.array(ids, { maxLength: 3 }),
      }),
      fc.record({
        type: fc.constant('head' as const),
        id: ids,
        artifact: ids,
        parent: fc.option(ids),
      }),
    )
    fc.assert(
      fc.property(fc.array(command, { maxLength: 25 }), fc.uniqueArray(ids), (commands, local) => {
        const catalog = new CheckpointCatalog()
        // The model: two lists, and every rule written out as a search.
        const artifacts: ArtifactDescriptor[] = []
        const heads: HeadDescriptor[] = []
        for (const step of commands) {
          if (step.type === 'artifact') {
            const { id, kind, head_id, base_head_id, chunks } = step
            const inserted = artifact(id, { kind, head_id, base_head_id }, chunks)
            const expected = !artifacts.some(({ artifact_id }) => artifact_id === id)
            if (expected) artifacts.push(inserted)
            assert.equal(
              succeeds(() => catalog.insertArtifact(inserted)),
              expected,
            )
          } else {
            const inserted = head(step.id, step.artifact, step.parent)
            const found = artifacts.find(({ artifact_id }) => artifact_id === step.artifact)
            const expected =
              !heads.some(({ head_id }) => head_id === step.id) &&
              found !== undefined &&
              [null, step.id].includes(found.head_id) &&
              (step.parent === null ||
                (heads.some(({ head_id }) => head_id === step.parent) &&
                  (found.kind !== 'DeltaPack' || found.base_head_id === step.parent)))
            if (expected) heads.push(inserted)
            assert.equal(
              succeeds(() => catalog.insertHead(inserted)),
              expected,
            )
          }
        }
        assert.deepEqual([...catalog.artifacts.values()], artifacts)
        assert.deepEqual([...catalog.heads.values()], heads)

        for (const target of heads) {
          const chain: HeadDescriptor[] = [target]
          while (chain[0]?.parent_head_id != null) {
            const parent = chain[0].parent_head_id
            chain.unshift(heads.find(({ head_id }) => head_id === parent)!)
          }
          const lineage = catalog.lineage(target.head_id, 'Ema')
          assert.deepEqual(lineage.heads, chain)
          const used = chain.map(({ artifact_id }) =>
            artifacts.find((one) => one.artifact_id === artifact_id)!,
          )
          assert.deepEqual(lineage.artifacts, used)
          const localSet = new Set(local)
          const plan = catalog.planSync({
            target_head_id: target.head_id,
            local_heads: localSet,
            local_artifacts: localSet,
            local_chunks: localSet,
          })
          const without = (all: string[]) => [...new Set(all)].filter((id) => !local.includes(id))
          assert.deepEqual(plan.missing_heads, without(chain.map(({ head_id }) => head_id)))
          assert.deepEqual(plan.missing_artifacts, without(used.map((one) => one.artifact_id)))
          assert.deepEqual(
            plan.missing_chunks,
            without(used.flatMap(({ chunks }) => chunks.map(({ chunk_id }) => chunk_id))).sort(),
          )
        }
      }),
      { numRuns: 200 },
    )
  })
})

function succeeds(run: () => void): boolean {
  try {
    run()
    return true
  } catch (error) {
    assert.match((error as { code: string }).code, /^ERR_CHECKPOINT_/)
    return false
  }
}

describe('a merge plan', () => {
  const catalog = new CheckpointCatalog()
  catalog.insertArtifact(artifact('a', { kind: 'DeltaPack', base_head_id: 'root' }))
  catalog.insertArtifact(artifact('b', { kind: 'DeltaPack', base_head_id: 'root' }))
  catalog.insertArtifact(artifact('full'))
  catalog.insertArtifact(artifact('stray', { kind: 'DeltaPack', base_head_id: 'elsewhere' }))
  catalog.insertArtifact(artifact('baseless', { kind: 'DeltaPack' }))

  const refuses = (contribution: ContributionReceipt, code: string, message: RegExp) =>
    assert.throws(() => catalog.planMerge(candidate([contribution])), { code, message })

  it('orders receipts by id and averages numeric metrics by weight', () => {
    const plan = catalog.planMerge(
      candidate([
        receipt('r-2', 'b', {
          accepted_weight: 3,
          metrics: { loss: 0.25, steps: 8n, name: 'x', ok: true },
        }),
        receipt('r-1', 'a', { metrics: { loss: 1, steps: 4n, lr: 0.5 } }),
      ]),
    )
    assert.deepEqual(plan, {
      study_id: 'study',
      experiment_id: 'experiment',
      revision_id: 'revision',
      base_head_id: 'root',
      policy: 'WeightedMean',
      contribution_receipt_ids: ['r-1', 'r-2'],
      artifact_ids: ['a', 'b'],
      total_weight: 4,
      aggregated_numeric_metrics: { loss: 0.4375, steps: 7, lr: 0.5 },
    })
  })

  it('counts a contribution once that is given twice, and refuses two under one receipt id', () => {
    const once = receipt('r-1', 'a', { accepted_weight: 3, metrics: { loss: 1 } })
    const other = receipt('r-2', 'b', { metrics: { loss: 0 } })
    const plan = catalog.planMerge(candidate([once, other, { ...once }]))
    assert.deepEqual(plan, catalog.planMerge(candidate([once, other])))
    assert.equal(plan.total_weight, 4)
    assert.throws(() => catalog.planMerge(candidate([once, { ...once, accepted_weight: 5 }])), {
      code: 'ERR_CHECKPOINT_CONFLICTING_CONTRIBUTION',
      message: /"r-1"/,
    })
  })

  it('sorts receipts by the bytes of their ids and leaves the candidate as it was', () => {
    const contributions = ['\u{1f600}', '\uffff', 'b', 'B'].map((id) => receipt(id, 'full'))
    const plan = catalog.planMerge(candidate(contributions))
    assert.deepEqual(plan.contribution_receipt_ids, ['B', 'b', '\uffff', '\u{1f600}'])
    assert.equal(contributions[0]?.receipt_id, '\u{1f600}')
  })

  it('refuses a merge of nothing', () => {
    assert.throws(() => catalog.planMerge(candidate([])), {
      code: 'ERR_CHECKPOINT_EMPTY_MERGE_CANDIDATE',
      message: /merge candidate contains no contribution receipts/,
    })
  })

  it('refuses contributions of another study, experiment or revision', () => {
    for (const changes of [{ study_id: 'x' }, { experiment_id: 'x' }, { revision_id: 'x' }]) {
      refuses(
        receipt('r', 'a', changes),
        'ERR_CHECKPOINT_MIXED_CONTRIBUTION_SCOPE',
        /receipt "r" uses a different study\/experiment\/revision tuple/,
      )
    }
  })

  it('refuses contributions, and deltas, of another base head', () => {
    const code = 'ERR_CHECKPOINT_MIXED_BASE_HEAD'
    refuses(receipt('r', 'a', { base_head_id: 'x' }), code, /different base head.*"root".*"x"/)
    refuses(receipt('r', 'stray'), code, /found "elsewhere"/)
    refuses(receipt('r', 'baseless'), code, /found none/)
  })

  it('refuses weights that are not finite and above zero', () => {
    for (const weight of [0, -1, -0, NaN, Infinity]) {
      refuses(
        receipt('r', 'a', { accepted_weight: weight }),
        'ERR_CHECKPOINT_NON_POSITIVE_CONTRIBUTION_WEIGHT',
        /receipt "r" has non-positive accepted weight/,
      )
    }
  })

  it('refuses contributions whose artifact is not known', () => {
    refuses(
      receipt('r', 'nowhere'),
      'ERR_CHECKPOINT_UNKNOWN_CONTRIBUTION_ARTIFACT',
      /receipt "r" points at unknown artifact "nowhere"/,
    )
  })
})

describe('the EMA flow', () => {
  it('takes each certified head in once, in order', () => {
    const flow = new EmaFlow(0.95)
    for (const id of ['b', 'a', 'b']) flow.includeCertifiedHead(id)
    assert.deepEqual(flow.includedHeads, ['b', 'a'])
    const json = EmaFlowRecord.toJson(flow.toRecord())
    assert.equal(json, '{"decay":0.95,"included_heads":["b","a"]}')
    assert.deepEqual(EmaFlow.fromRecord(EmaFlowRecord.fromJson(json)).toRecord(), flow.toRecord())
  })

  it('has a decay from 0 to 1, both included', () => {
    for (const decay of [0, 1]) assert.equal(new EmaFlow(decay).decay, decay)
    for (const decay of [-0.001, 1.5, NaN, Infinity]) {
      assert.throws(() => new EmaFlow(decay), {
        code: 'ERR_CHECKPOINT_INVALID_EMA_DECAY',
        message: /EMA decay must be in the inclusive range \[0\.0, 1\.0\]/,
      })
    }
  })
})
