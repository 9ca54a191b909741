/** CBOR as an enemy would send it: messages that are nearly valid, and bytes that are nothing at all. */
import fc from 'fast-check'
import type { Wire } from '../../lib/json/wire.js'
import { encodeWireCbor } from '../../lib/schema/wire-cbor.js'
import { readCbor } from '../schema/support/independent-cbor.js'

/** Values that belong nowhere, or lie at the edge of what belongs. */
const ODD_VALUES: readonly Wire[] = [
  null,
  true,
  0n,
  -1n,
  255n,
  256n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
  2n ** 128n - 1n,
  -(2n ** 64n),
  0.5,
  -0,
  NaN,
  Infinity,
  5e-324,
  '',
  '\0',
  '__proto__',
  'Snapshot',
  '\u{10ffff}',
  '9999-12-31T23:59:59.999999999Z',
  '2026-02-30T00:00:00Z',
  'x'.repeat(5000),
  [],
  [null],
  [[[[]]]],
  new Uint8Array(300),
  Float32Array.of(1, NaN),
  new Map(),
  new Map<string, Wire>([['Snapshot', null]]),
  new Map<string, Wire>([['__proto__', new Map([['polluted', true]])]]),
  new Map<string, Wire>([['Custom', 'x']]),
]

/** Bytes that a careless reader trips over. */
const ODD_BYTES = [
  ...[
    '',
    'f4',
    'f6',
    'f7',
    'f818',
    'ff',
    '80',
    'a0',
    '60',
    '40',
    '1c',
    '1f',
    '3f',
    '5f',
    '7f',
    '9f',
    'bf',
  ],
  ...['f97e00', 'fa7fc00000', 'fb7ff8000000000000', 'fb', 'fa00', 'c0', 'c240', 'c250', 'c301'],
  ...[
    '9bffffffffffffffff',
    '9affffffff',
    'bbffffffffffffffff',
    '7bffffffffffffffff',
    'dbffffffffffffffff',
  ],
  ...[
    '7f6161ff',
    '7f7f6161ffff',
    '62c328',
    '63eda080',
    'a2616101616102',
    '81'.repeat(300),
    'a16161'.repeat(300),
  ],
  ...[
    '1800',
    '190000',
    '1a00000000',
    '1b0000000000000000',
    '1bffffffffffffffff',
    '3bffffffffffffffff',
  ],
  ...['d9d9f7', '4100', '820102', 'a10102', 'a1f600', `9903e8${'00'.repeat(1000)}`],
].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')))

type Edit = (bytes: Uint8Array) => Uint8Array

const edits: fc.Arbitrary<Edit> = fc.oneof(
  // Another value in the place of one.
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.nat(), fc.constantFrom(...ODD_VALUES))
      .map(([at, odd]) => structural((wire) => changedAt(wire, at, () => odd))),
  },
  // One field more, one fewer, or in another order.
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.nat(), fc.constantFrom(withoutFirst, withAnother, reversed))
      .map(([at, change]) => structural((wire) => changedAt(wire, at, inMap(change)))),
  },
  // Bytes without a plan.
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(), fc.nat(8), fc.constantFrom(...ODD_BYTES)).map(
      ([at, cut, piece]): Edit =>
        (bytes) =>
          spliced(bytes, at, cut, piece),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(), fc.nat(255)).map(
      ([at, byte]): Edit =>
        (bytes) =>
          spliced(bytes, at, 1, Uint8Array.of(byte)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.nat().map(
      (at): Edit =>
        (bytes) =>
          bytes.slice(0, at % (bytes.length + 1)),
    ),
  },
)

/** Bytes of which a part are valid, or nearly valid, forms of the given messages. */
export function hostileCbor(
  valid: readonly [Uint8Array, ...Uint8Array[]],
): fc.Arbitrary<Uint8Array> {
  const edited = fc
    .tuple(fc.constantFrom(...valid), fc.array(edits, { maxLength: 3 }))
    .map(([bytes, changes]) => changes.reduce((before, change) => change(before), bytes))
  return fc.oneof(
    { weight: 14, arbitrary: edited },
    {
      weight: 1,
      arbitrary: fc.array(fc.constantFrom(...ODD_BYTES)).map((all) => Buffer.concat(all)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
  )
}

function spliced(bytes: Uint8Array, at: number, cut: number, piece: Uint8Array): Uint8Array {
  const start = at % (bytes.length + 1)
  return new Uint8Array(
    Buffer.concat([bytes.subarray(0, start), piece, bytes.subarray(start + cut)]),
  )
}

/** Changes the value that the bytes stand for; bytes that stand for none stay as they are. */
function structural(change: (wire: Wire) => Wire): Edit {
  return (bytes) => {
    try {
      return encodeWireCbor(change(readCbor(bytes)))
    } catch {
      return bytes
    }
  }
}

/** The value with its n-th part, counted through all levels, changed. */
function changedAt(wire: Wire, at: number, change: (value: Wire) => Wire): Wire {
  let left = at % Math.max(1, count(wire))
  const walk = (value: Wire): Wire => {
    if (left-- === 0) return change(value)
    if (value instanceof Map) {
      const map = value as ReadonlyMap<string, Wire>
      return new Map([...map].map(([key, item]) => [key, walk(item)]))
    }
    return Array.isArray(value) ? value.map((item) => walk(item as Wire)) : value
  }
  return walk(wire)
}

type Entries = [string, Wire][]

function inMap(change: (entries: Entries) => Entries): (value: Wire) => Wire {
  return (value) =>
    value instanceof Map ? new Map(change([...(value as ReadonlyMap<string, Wire>)])) : value
}

function withoutFirst(entries: Entries): Entries {
  return entries.slice(1)
}

function withAnother(entries: Entries): Entries {
  return [['unknown', [1n, new Map([['a', 2.5]])]], ...entries]
}

function reversed(entries: Entries): Entries {
  return entries.reverse()
}

function count(wire: Wire): number {
  const items: readonly Wire[] =
    wire instanceof Map
      ? [...(wire as ReadonlyMap<string, Wire>).values()]
      : Array.isArray(wire)
        ? (wire as readonly Wire[])
        : []
  return items.reduce<number>((sum, item) => sum + count(item), 1)
}
