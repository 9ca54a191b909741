/** Records for the tests, and random ones. */

import fc from 'fast-check'

import type { DatasetSizing, DatasetView, MicroShard } from '../../../lib/schema/index.js'
import type { LeaseRequest } from '../../../lib/data/index.js'

/** The view of spec formats#golden-vectors. */
export function view(dataset_view_id = 'view-1'): DatasetView {
  return {
    dataset_view_id,
    dataset_id: 'dataset-1',
    preprocessing_hash: 'preprocessing-1',
    tokenizer_hash: null,
    manifest_hash: 'manifest-1',
    metadata: {},
  }
}

export const sizing = (examples: number, tokens = examples, bytes = examples): DatasetSizing => ({
  total_examples: examples,
  total_tokens: tokens,
  total_bytes: bytes,
})

/** The ids of the two shards of spec formats#golden-vectors. */
export const SHARD_0 = '122084fa4d7099bc70d6c7dbaa092f670208e46c78f58cc72f6a198b55700bd229ce'
export const SHARD_1 = '122067decfd81eaaddcebbb29860b786e23c65337b55808868af4f45ffa44b6bb47e'

/** The lease request of spec formats#golden-vectors. */
export const request: LeaseRequest = {
  network_id: 'net-1',
  study_id: 'study-1',
  experiment_id: 'exp-1',
  revision_id: 'rev-1',
  peer_id: 'peer-1',
  dataset_view_id: 'view-1',
  window_id: 9,
  granted_at: '2026-01-02T03:04:05Z',
  budget_work_units: 64,
}

/** A microshard by its ordinal, with estimates that may be replaced. */
export function shard(ordinal: number, more: Partial<MicroShard> = {}): MicroShard {
  return {
    microshard_id: `shard-${ordinal}`,
    dataset_view_id: 'view-1',
    ordinal,
    estimated_examples: 10,
    estimated_tokens: 10,
    estimated_bytes: 10,
    ...more,
  }
}

const estimate = fc.oneof(
  fc.nat({ max: 40 }),
  fc.nat({ max: 4_000_000 }),
  fc.constantFrom(0, 1, 1023, 1024, 1025, 16, 17, 262_144, 262_145, 2 ** 45),
)

/** Microshards with ids of any text (now and then twice the same) and ordinals in any order. */
export const shards: fc.Arbitrary<MicroShard[]> = fc.array(
  fc.record({
    microshard_id: fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('a', 'b')),
    dataset_view_id: fc.constant('view-1'),
    ordinal: fc.oneof(fc.nat({ max: 0xffffffff }), fc.nat({ max: 3 })),
    estimated_examples: estimate,
    estimated_tokens: estimate,
    estimated_bytes: estimate,
  }),
  { minLength: 1, maxLength: 60 },
)
