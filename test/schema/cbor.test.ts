import assert from 'node:assert/strict'

import fc from 'fast-check'

import { bytes, f32Array, f64, i64Exact, optional, text, u64Exact } from '../../lib/schema/index.js'
import { encodeCbor } from '../../lib/schema/cbor.js'
import type { Wire } from '../../lib/json/wire.js'
import { wires } from './support/arbitraries.js'
import { independentCbor, readCbor } from './support/independent-cbor.js'
import { runs } from '../support/runs.js'

const hex = (value: Wire) => Buffer.from(encodeCbor(value)).toString('hex')

/** Compact arrays as the lists that a reader sees. */
function expanded(value: Wire): Wire {
  if (value instanceof Uint8Array) return Array.from(value, BigInt)
  if (value instanceof Float32Array) return Array.from(value)
  if (value instanceof Map) {
    const entries = [...(value as ReadonlyMap<string, Wire>)]
    return new Map(entries.map(([key, item]) => [key, expanded(item)]))
  }
  return Array.isArray(value) ? value.map((item) => expanded(item as Wire)) : value
}

describe('CBOR', () => {
  const floats: [string, number, string][] = [
    ['0.25 as a half', 0.25, 'f93400'],
    ['-0.0 as a half', -0, 'f98000'],
    ['0.1 of 32 bits as a single', Math.fround(0.1), 'fa3dcccccd'],
    ['0.0001 as a double', 0.0001, 'fb3f1a36e2eb1c432d'],
    ['0.0002 as a double', 0.0002, 'fb3f2a36e2eb1c432d'],
    ['NaN as the canonical half', NaN, 'f97e00'],
    ['infinity as a half', Infinity, 'f97c00'],
    ['minus infinity as a half', -Infinity, 'f9fc00'],
    ['a 32-bit subnormal as a single', Math.fround(1e-40), 'fa000116c2'],
    ['2^-24 as a subnormal half', 2 ** -24, 'f90001'],
    ['2^-25 as a single', 2 ** -25, 'fa33000000'],
    ['65504 as the largest half', 65504, 'f97bff'],
    ['65505 as a single', 65505, 'fa477fe100'],
    ['a whole float as a float', 1, 'f93c00'],
  ]
  for (const [title, value, expected] of floats) {
    it(`writes ${title}`, () => assert.equal(hex(value), expected))
  }

  const others: [string, Wire, string][] = [
    ['integers with the shortest head', [0n, 23n, 24n, 255n, 256n], '85001718' + '1818ff190100'],
    ['integers of 32 and 64 bits', [65536n, 2n ** 32n], '821a000100001b0000000100000000'],
    ['the largest u64', 2n ** 64n - 1n, '1bffffffffffffffff'],
    ['the smallest i64', -(2n ** 63n), '3b7fffffffffffffff'],
    ['negative integers', [-1n, -24n, -25n], '832037' + '3818'],
    ['bytes as an array of integers', Uint8Array.of(0, 23, 24, 200, 255), '850017181818c818ff'],
    [
      '32-bit floats each in its shortest form',
      Float32Array.of(0.25, -1.5, 3, 8.25),
      '84f93400f9be00f94200f94820',
    ],
    ['text as UTF-8', 'é😀', '66c3a9f09f9880'],
    ['booleans and null', [true, false, null], '83f5f4f6'],
    [
      'fields in the order given',
      new Map([
        ['b', 1n],
        ['a', 2n],
      ]),
      'a2616201616102',
    ],
    ['empty lists and maps', [[], new Map()], '8280a0'],
  ]
  for (const [title, value, expected] of others) {
    it(`writes ${title}`, () => assert.equal(hex(value), expected))
  }

  it('agrees byte for byte with an independent writer', () => {
    fc.assert(
      fc.property(wires, (wire) => {
        assert.equal(hex(wire), independentCbor(wire))
      }),
      { numRuns: runs(1000) },
    )
  })

  it('can be read back to the same values by an independent reader', () => {
    fc.assert(
      fc.property(wires, (wire) => {
        assert.deepEqual(readCbor(encodeCbor(wire)), expanded(wire))
      }),
      { numRuns: runs(500) },
    )
  })

  it('writes lists longer than its first buffer', () => {
    const long = Uint8Array.from({ length: 100_000 }, (_, index) => index % 256)
    assert.equal(hex(long), independentCbor(long))
  })

  it('takes the form from the codec, not from the JavaScript value', () => {
    assert.deepEqual(
      [u64Exact.toCbor(1n), i64Exact.toCbor(-1n), f64.toCbor(1), text.toCbor('1')].map((value) =>
        Buffer.from(value).toString('hex'),
      ),
      ['01', '20', 'f93c00', '6131'],
    )
    assert.equal(Buffer.from(optional(text).toCbor(null)).toString('hex'), 'f6')
    assert.equal(Buffer.from(bytes.toCbor(Uint8Array.of(1))).toString('hex'), '8101')
    assert.equal(Buffer.from(f32Array.toCbor(Float32Array.of(NaN))).toString('hex'), '81f97e00')
  })
})
