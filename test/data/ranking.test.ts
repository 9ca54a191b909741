import assert from 'node:assert/strict'

import fc from 'fast-check'

import { ShardAwareSampler } from '../../lib/data/index.js'
import { RankOrder } from '../../lib/data/rank-order.js'
import { TimeSlices } from '../../lib/core/time-slices.js'
import { DIGEST_BYTES, TupleHasher } from '../../lib/data/tuple-hasher.js'
import { contentIdOf, samplerScore, text, tuple, u64 } from '../../lib/schema/index.js'
import { SHARD_0, SHARD_1 } from './support/records.js'

const anyText = fc.string({ unit: 'binary' })

async function rank(digests: readonly Uint8Array[], ordinals?: readonly number[]) {
  const slices = new TimeSlices('Ranking')
  const order = await RankOrder.of(Buffer.concat(digests), ordinals, slices)
  const indices: number[] = []
  for (let next = order.next(); next !== undefined; next = order.next()) indices.push(next)
  assert.equal(order.next(), undefined)
  return indices
}

describe('the tuple hasher', () => {
  it('hashes a tuple as lib/schema does, whatever was hashed before', () => {
    const codec = tuple('test tuple', text, u64, text)
    fc.assert(
      fc.property(
        anyText,
        fc.array(
          fc.tuple(
            fc.oneof(
              fc.maxSafeNat(),
              fc.constantFrom(23, 24, 255, 256, 65_535, 65_536, 0xffffffff, 0x100000000),
            ),
            fc.oneof(anyText, fc.string({ minLength: 200, maxLength: 400 })),
          ),
        ),
        (first, rest) => {
          const hasher = new TupleHasher(3).text(first).keep()
          const digests = Buffer.alloc(DIGEST_BYTES * rest.length)
          for (const [index, [number, last]] of rest.entries()) {
            const expected = contentIdOf(codec, [first, number, last])
            assert.equal(hasher.uint(number).text(last).contentId(), expected)
            hasher
              .uint(number)
              .text(last)
              .digestInto(digests, index * DIGEST_BYTES)
            const digest = digests.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
            assert.equal(`1220${digest.toString('hex')}`, expected)
          }
        },
      ),
    )
  })

  it('refuses what the format cannot hold', () => {
    for (const value of [-1, 0.5, NaN, 2 ** 53]) {
      assert.throws(() => new TupleHasher(1).uint(value), { code: 'ERR_DATA_SCHEMA' })
    }
    assert.throws(() => new TupleHasher(1).text('a\udc00'), { code: 'ERR_DATA_SCHEMA' })
  })
})

describe('the rank order', () => {
  it('is that of a sort: digest descending, ordinal ascending, index ascending', () => {
    // Bytes of few values, so that digests agree in the part that is compared as a number, or altogether.
    const digest = fc.oneof(
      fc.tuple(fc.nat({ max: 1 }), fc.nat({ max: 1 })).map(([head, tail]) => {
        const bytes = Buffer.alloc(DIGEST_BYTES)
        bytes[5] = head
        bytes[31] = tail
        return bytes
      }),
      fc.uint8Array({ minLength: DIGEST_BYTES, maxLength: DIGEST_BYTES }),
    )
    return fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(digest, fc.nat({ max: 2 }))), async (items) => {
        const sorted = [...items.keys()].sort((a, b) => {
          const [left, right] = [items[a]!, items[b]!]
          return Buffer.compare(right[0], left[0]) || left[1] - right[1] || a - b
        })
        const digests = items.map(([bytes]) => bytes)
        const ordinals = items.map(([, ordinal]) => ordinal)
        assert.deepEqual(await rank(digests, ordinals), sorted)
      }),
    )
  })
})

describe('the shard-aware sampler', () => {
  const lease = (window_id: number, microshards: readonly string[]) => ({ window_id, microshards })

  it('gives the known order of spec formats#golden-vectors', async () => {
    const sampler = await ShardAwareSampler.fromLease(lease(9, [SHARD_0, SHARD_1]))
    assert.deepEqual(sampler.orderedMicroshards(), [SHARD_1, SHARD_0])
  })

  it('gives a permutation, by score and then by id', () =>
    fc.assert(
      fc.asyncProperty(fc.maxSafeNat(), fc.array(anyText), async (window, ids) => {
        const sampler = await ShardAwareSampler.fromLease(lease(window, ids))
        const score = new Map(ids.map((id) => [id, samplerScore(window, id)]))
        const expected = [...ids].sort((a, b) => {
          const [left, right] = [score.get(a)!, score.get(b)!]
          return left === right
            ? Buffer.compare(Buffer.from(a), Buffer.from(b))
            : left > right
              ? -1
              : 1
        })
        assert.deepEqual(sampler.orderedMicroshards(), expected)
      }),
    ))

  it('hands out each shard once, without reset', async () => {
    const sampler = await ShardAwareSampler.fromLease(lease(1, ['a', 'b', 'c']))
    const taken = [sampler.nextMicroshard(), sampler.nextMicroshard(), sampler.nextMicroshard()]
    assert.deepEqual(taken, sampler.orderedMicroshards())
    assert.equal(sampler.nextMicroshard(), undefined)
    assert.equal(sampler.nextMicroshard(), undefined)
  })

  it('orders the same shards anew in another window', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `shard-${index}`)
    const [one, two] = [
      await ShardAwareSampler.fromLease(lease(1, ids)),
      await ShardAwareSampler.fromLease(lease(2, ids)),
    ]
    assert.notDeepEqual(one.orderedMicroshards(), two.orderedMicroshards())
  })
})
