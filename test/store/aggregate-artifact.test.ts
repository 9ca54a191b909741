import assert from 'node:assert/strict'

import { AggregateArtifactRecord } from '../../lib/lineage/index.js'
import {
  aggregateArtifact,
  checkArtifactDescriptor,
  chunkingScheme,
  FsArtifactStore,
} from '../../lib/store/index.js'
import { contentId } from '../../lib/schema/index.js'
import { removeFolder, temporaryFolder } from './support.js'

const RECORD: AggregateArtifactRecord = {
  aggregate_id: 'aggregate-1',
  study_id: 'study',
  experiment_id: 'experiment',
  revision_id: 'revision',
  base_head_id: 'head-root',
  policy: 'WeightedMean',
  aggregate_stats: {
    accepted_updates: 2,
    duplicate_updates: 0,
    dropped_updates: 0,
    late_updates: 0,
    sum_sample_weight: 3,
    sum_quality_weight: 1.8,
    sum_weighted_delta_norm: 2.4,
    max_update_norm: 1.4,
    accepted_sample_coverage: 1,
  },
  merge_plan: {
    study_id: 'study',
    experiment_id: 'experiment',
    revision_id: 'revision',
    base_head_id: 'head-root',
    policy: 'WeightedMean',
    contribution_receipt_ids: ['receipt-a'],
    artifact_ids: ['artifact-a'],
    total_weight: 3,
    aggregated_numeric_metrics: { loss: 0.25 },
  },
  inputs: [
    {
      peer_id: 'peer-a',
      artifact_id: 'artifact-a',
      sample_weight: 1,
      quality_weight: 0.8,
      receipt_ids: ['receipt-a'],
    },
  ],
  created_at: '2026-01-02T03:04:05Z',
}

describe('the artifact of an aggregate record', () => {
  it('is its pretty JSON, a DeltaPack in Fp32 on its base head', async () => {
    const { descriptor, bytes } = await aggregateArtifact(RECORD, chunkingScheme(32))
    checkArtifactDescriptor(descriptor)
    assert.equal(descriptor.kind, 'DeltaPack')
    assert.equal(descriptor.precision, 'Fp32')
    assert.equal(descriptor.head_id, null)
    assert.equal(descriptor.base_head_id, 'head-root')
    assert.equal(descriptor.record_format, 'burn-p2p:aggregate-envelope+json')
    assert.equal(descriptor.root_hash, contentId(bytes))
    assert.equal(descriptor.chunks.length, Math.ceil(bytes.byteLength / 32))
    // An array of five texts: 0x85, then each with its length.
    const tuple = ['aggregate-artifact', 'study', 'experiment', 'revision', 'head-root']
    const cbor = Buffer.concat([
      Buffer.of(0x85),
      ...tuple.map((text) => Buffer.from([0x60 + text.length, ...Buffer.from(text)])),
    ])
    assert.equal(descriptor.model_schema_hash, contentId(cbor))
    const text = Buffer.from(bytes).toString()
    assert(text.startsWith('{\n  "aggregate_id": "aggregate-1",\n  "study_id": "study",\n'))
    assert(text.includes('\n    "sum_sample_weight": 3.0,\n'))
    assert(text.includes('\n    "accepted_updates": 2,\n'))
    assert.deepEqual(AggregateArtifactRecord.fromJson(bytes), RECORD)
  })

  it('goes into the store and comes back', async () => {
    const folder = await temporaryFolder()
    try {
      const store = new FsArtifactStore(folder)
      const { descriptor, bytes } = await aggregateArtifact(RECORD, chunkingScheme(100))
      await store.storePrebuiltArtifactBytes(descriptor, bytes, { pin: true })
      const found = await store.materializeArtifactBytes(descriptor)
      assert.deepEqual(AggregateArtifactRecord.fromJson(found), RECORD)
      assert.deepEqual([...(await store.pinnedArtifacts())], [descriptor.artifact_id])
    } finally {
      await removeFolder(folder)
    }
  })
})
