import assert from 'node:assert/strict'

import fc from 'fast-check'

import {
  MetricValue,
  Metrics,
  PatchValue,
  RuntimePatch,
  runtimePatch,
} from '../../lib/schema/index.js'
import { finiteFloats, texts } from './support/arbitraries.js'
import { runs } from '../support/runs.js'

describe('metric values', () => {
  const forms: [string, MetricValue][] = [
    ['1', 1n],
    ['1.0', 1],
    ['-0.0', -0],
    ['9223372036854775807', 2n ** 63n - 1n],
    ['-9223372036854775808', -(2n ** 63n)],
    ['true', true],
    ['"nan"', 'nan'],
    ['1e-7', 1e-7],
  ]
  for (const [form, value] of forms) {
    it(`read ${form} as ${typeof value} and write it alike`, () => {
      assert.deepEqual(MetricValue.fromJson(form), value)
      assert.equal(MetricValue.toJson(value), form)
    })
  }

  it('read an integer beyond i64 as a float', () => {
    assert.equal(MetricValue.fromJson('9223372036854775808'), 2 ** 63)
    assert.equal(MetricValue.fromJson('18446744073709551616'), 2 ** 64)
  })

  it('keep integer and float apart in CBOR', () => {
    assert.deepEqual(
      Buffer.from(Metrics.toCbor({ a: 1n, b: 1 })).toString('hex'),
      'a261610161' + '62f93c00',
    )
  })

  it('write NaN as null, which says so when it is read', () => {
    assert.equal(Metrics.toJson({ loss: NaN }), '{"loss":null}')
    assert.throws(
      () => Metrics.fromJson('{"loss":null}'),
      /loss: .* got null, as which NaN and infinities/,
    )
  })

  it('refuse lists, objects, and bigints beyond i64', () => {
    assert.throws(() => Metrics.fromJson('{"a":[1]}'), /a: expected .* got an array of 1/)
    assert.throws(
      () => Metrics.toJson({ a: 2n ** 63n }),
      /a: expected an integer .* got bigint 9223372036854775808/,
    )
    assert.throws(() => Metrics.toJson({ a: null as never }), /a: expected .* got null/)
    assert.throws(() => Metrics.toJson({ a: undefined as never }), /a: expected/)
  })
})

describe('patch values', () => {
  const values = fc.oneof<fc.Arbitrary<PatchValue>[]>(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    finiteFloats,
    fc.boolean(),
    texts,
    fc.array(texts),
  )

  it('come back from JSON as they were', () => {
    fc.assert(
      fc.property(values, (value) => {
        assert.deepEqual(PatchValue.fromJson(PatchValue.toJson(value)), value)
      }),
      { numRuns: runs(100) },
    )
  })

  it('refuse null, objects and mixed lists', () => {
    assert.throws(() => PatchValue.fromJson('null'), /got null/)
    assert.throws(() => PatchValue.fromJson('{}'), /got an object/)
    assert.throws(() => PatchValue.fromJson('["a",1]'), /\[1\]: expected a string, got 1/)
    assert.throws(() => PatchValue.toJson([1] as never), /\[0\]: expected a string/)
    assert.throws(() => PatchValue.toJson(null as never), /got null/)
  })
})

describe('runtime patches', () => {
  it('have an id that neither the order nor repetition of capabilities changes', () => {
    const patch = (required_client_capabilities: string[]) =>
      runtimePatch({
        class: 'Warm',
        summary: 's',
        values: { on: true, names: ['a'], n: 3n },
        required_client_capabilities,
      })
    assert.equal(patch(['b', 'a', 'b']).patch_id, patch(['a', 'b']).patch_id)
    assert.notEqual(patch(['a']).patch_id, patch(['a', 'b']).patch_id)
    assert.match(
      RuntimePatch.toJson(patch(['b', 'a', 'b'])),
      /"required_client_capabilities":\["a","b"\]}$/,
    )
  })
})
