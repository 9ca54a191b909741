import assert from 'node:assert/strict'

import { DataReceiptBuilder, processedCounts } from '../../lib/data/index.js'
import type { CachedMicroShard, Metrics, MetricValue } from '../../lib/schema/index.js'
import { shard, SHARD_0, SHARD_1 } from './support/records.js'

const lease = {
  lease_id: '1220fa744dc83ca816e6a84ce9864b0e88aa9f9ada7aaf878d3267b4ff95f48c2882',
  peer_id: 'peer-1',
  microshards: [SHARD_0, SHARD_1],
}

describe('the data receipt builder', () => {
  it('gives the known receipt of spec formats#golden-vectors', () => {
    const receipt = DataReceiptBuilder.accepted(20, 20).build(lease, '2026-01-02T03:05:00.250Z')
    assert.deepEqual(receipt, {
      receipt_id: '1220f9dc722fe24a21cf9d4560b7669d8df3f8021f160eb5b72b9507b0902aecb2f3',
      ...lease,
      completed_at: '2026-01-02T03:05:00.250Z',
      examples_processed: 20,
      tokens_processed: 20,
      disposition: 'Accepted',
    })
  })

  it('writes the time in canonical form, and takes a Date', () => {
    const builder = DataReceiptBuilder.accepted(20, 20)
    const receipt = builder.build(lease, '2026-01-02T03:05:00.250Z')
    assert.deepEqual(builder.build(lease, '2026-01-02T04:05:00.25+01:00'), receipt)
    assert.deepEqual(builder.build(lease, new Date('2026-01-02T03:05:00.250Z')), receipt)
  })

  it('names receipts of other dispositions and counts otherwise', () => {
    const time = '2026-01-02T03:05:00Z'
    const ids = (['Accepted', 'Rejected', 'Partial', 'Expired'] as const).map(
      (disposition) =>
        new DataReceiptBuilder({
          disposition,
          examples_processed: 20,
          tokens_processed: 20,
        }).build(lease, time).receipt_id,
    )
    ids.push(DataReceiptBuilder.accepted(20, 21).build(lease, time).receipt_id)
    assert.equal(new Set(ids).size, 5)
  })

  it('refuses counts that are no counts', () => {
    for (const count of [-1, 1.5, NaN]) {
      assert.throws(() => DataReceiptBuilder.accepted(count, 1).build(lease, new Date()), {
        code: 'ERR_CONFIG',
      })
    }
  })
})

describe('the counts of a window', () => {
  const cached: CachedMicroShard[] = [0, 1].map((ordinal) => ({
    microshard: shard(ordinal, { estimated_examples: 10 + ordinal, estimated_tokens: 100 }),
    path: `/cache/0000${ordinal}.bin`,
    content_hash: 'hash',
    bytes_len: 1,
  }))
  const counts = (metrics: Metrics) => processedCounts(metrics, cached)

  it('are what the workload reported, zero and whole floats too', () => {
    assert.deepEqual(counts({ examples_processed: 7n, tokens_processed: 33.0 }), {
      examples_processed: 7,
      tokens_processed: 33,
    })
    assert.deepEqual(counts({ examples_processed: 0n, tokens_processed: 0n }), {
      examples_processed: 0,
      tokens_processed: 0,
    })
  })

  it('are the estimates of the plan where nothing was reported, each for itself', () => {
    assert.deepEqual(counts({ loss: 0.5 }), { examples_processed: 21, tokens_processed: 200 })
    assert.deepEqual(counts({ tokens_processed: 150n }), {
      examples_processed: 21,
      tokens_processed: 150,
    })
  })

  it('are the estimates where the report is no count', () => {
    const nonsense: MetricValue[] = [-1n, -1, 0.5, NaN, Infinity, 2n ** 60n, true, '7']
    for (const examples_processed of nonsense) {
      assert.equal(counts({ examples_processed }).examples_processed, 21)
    }
  })
})
