import assert from 'node:assert/strict'

import {
  bool,
  bytes,
  f32Array,
  f64,
  i64Exact,
  json,
  list,
  map,
  MetricValue,
  optional,
  record,
  setOf,
  skipNull,
  text,
  tolerantList,
  tuple,
  u128,
  u64,
  u64Exact,
  variants,
  withDefault,
  type Codec,
} from '../../lib/schema/index.js'
import { MAX_DROPPED_RECORDS, MAX_WIRE_DEPTH, MAX_WIRE_VALUES } from '../../lib/schema/constants.js'
import {
  ControlRequest,
  ControlResponse,
  EMPTY_SNAPSHOT,
} from '../../lib/schema/records/network/index.js'
import { contentId } from '../../lib/schema/index.js'
import { WireFormatError, type ConfigIssue } from '../../lib/errors.js'

const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')
const unhex = (value: string) => new Uint8Array(Buffer.from(value, 'hex'))

function writes<T>(codec: Codec<T>, value: T, expected: string): void {
  assert.equal(hex(codec.toWireCbor(value)), expected)
  assert.deepEqual(codec.fromWireCbor(unhex(expected)), value)
}

function refuses(codec: Codec<unknown>, input: string, message: RegExp, path = ''): void {
  assert.throws(
    () => codec.fromWireCbor(unhex(input)),
    (error) => {
      assert.ok(error instanceof WireFormatError, String(error))
      assert.match(error.message, message)
      assert.equal(error.code, 'ERR_WIRE_FORMAT')
      assert.equal(error.path, path)
      return true
    },
  )
}

describe('messages of the control protocol, byte by byte (spec network-records#golden-vectors)', () => {
  it('ask for a snapshot', () => writes(ControlRequest, 'Snapshot', '68536e617073686f74'))

  it('ask for a manifest and say that there is none', () => {
    writes(
      ControlRequest,
      { ArtifactManifest: { artifact_id: 'a1' } },
      'a17041727469666163744d616e6966657374a16b61727469666163745f6964626131',
    )
    writes(ControlResponse, { ArtifactManifest: null }, 'a17041727469666163744d616e6966657374f6')
  })

  it('ask for a chunk and give it', () => {
    writes(
      ControlRequest,
      { ArtifactChunk: { artifact_id: 'a1', chunk_id: 'c1' } },
      'a16d41727469666163744368756e6ba26b61727469666163745f6964626131686368756e6b5f6964626331',
    )
    writes(
      ControlResponse,
      {
        ArtifactChunk: {
          artifact_id: 'a1',
          chunk: {
            chunk_id: '1220ab',
            offset_bytes: 0,
            length_bytes: 3,
            chunk_hash: '1220ab',
          },
          bytes: Uint8Array.of(97, 98, 200),
          generated_at: '2026-01-02T03:04:05Z',
        },
      },
      'a16d41727469666163744368756e6ba46b61727469666163745f6964626131656368756e6ba4686368756e6b5f6964' +
        '66313232306162' +
        '6c6f66667365745f6279746573006c6c656e6774685f6279746573036a6368756e6b5f68617368' +
        '66313232306162' +
        '6562797465738318611862' +
        '18c86c67656e6572617465645f617474323032362d30312d30325430333a30343a30355a',
    )
  })

  it('ask for a state of DiLoCo and acknowledge an offer', () => {
    writes(
      ControlRequest,
      { DiLoCo: { StateSnapshot: { experiment_id: 'exp-1', revision_id: 'rev-1' } } },
      'a16644694c6f436fa16d5374617465536e617073686f74a26d6578706572696d656e745f6964656578702d316b7265766973696f6e5f6964657265762d31',
    )
    writes(
      ControlResponse,
      {
        DiLoCo: {
          Ack: {
            accepted: true,
            cursor: {
              round_id: 0,
              group_id: null,
              base_checkpoint_id: 'base',
              phase: 'SyncBase',
              num_inner_steps: 4,
            },
            message: 'ok',
          },
        },
      },
      'a16644694c6f436fa16341636ba3686163636570746564f566637572736f72a468726f756e645f69640072626173655f636865636b706f696e745f696464626173656570686173656853796e63426173656f6e756d5f696e6e65725f737465707304676d657373616765626f6b',
    )
  })

  it('give an empty snapshot in 560 bytes', () => {
    const written = ControlResponse.toWireCbor({ Snapshot: EMPTY_SNAPSHOT })
    assert.equal(written.length, 560)
    assert.ok(
      hex(written).startsWith(
        'a168536e617073686f74b375636f6e74726f6c5f616e6e6f756e63656d656e747380776c69666563',
      ),
    )
    assert.equal(
      contentId(written),
      '1220bc294923f0a6cf9f4634a37dc2600d82cc09e181dc1db40d1018d485f1cf37fa',
    )
    assert.deepEqual(ControlResponse.fromWireCbor(written), { Snapshot: EMPTY_SNAPSHOT })
  })
})

describe('CBOR between peers', () => {
  it('writes every float in its full width', () => {
    writes(f64, 1, 'fb3ff0000000000000')
    writes(f64, -0, 'fb8000000000000000')
    writes(list(f64), [0.1], '81fb3fb999999999999a')
    writes(f32Array, Float32Array.of(0.25, -1.5), '82fa3e800000fabfc00000')
    writes(MetricValue, 1, 'fb3ff0000000000000')
    writes(MetricValue, 1n, '01')
  })

  it('refuses an integer, a half and a single where a float has to be', () => {
    refuses(f64, '01', /expected a float of 64 bits, got an integer/)
    refuses(f64, 'f93c00', /got a float of 16 bits/)
    refuses(f64, 'fa3f800000', /got a float of 32 bits/)
    refuses(f32Array, '81fb3ff0000000000000', /expected a float of 32 bits, got a float of 64 bits/)
    refuses(f32Array, '811a00000001', /got an integer/)
    refuses(list(f64), '8201fb3ff0000000000000', /got an integer/, '[0]')
  })

  it('writes integers with the shortest head and reads any that is wide enough', () => {
    writes(u64Exact, 2n ** 64n - 1n, '1bffffffffffffffff')
    writes(i64Exact, -25n, '3818')
    for (const wide of ['05', '1805', '190005', '1a00000005', '1b0000000000000005', 'c24105']) {
      assert.equal(u64.fromWireCbor(unhex(wide)), 5)
    }
    refuses(u64, '20', /expected an integer from 0 .* got -1/)
    refuses(u64, 'fb3ff0000000000000', /expected an integer from 0 .* got 1\.0/)
  })

  it('writes a u128 beyond 64 bits as a bignum, in what is hashed too', () => {
    writes(u128, 255n, '18ff')
    writes(u128, 2n ** 64n, 'c249010000000000000000')
    writes(u128, 2n ** 128n - 1n, `c250${'ff'.repeat(16)}`)
    assert.equal(hex(u128.toCbor(2n ** 64n)), 'c249010000000000000000')
    refuses(u128, `c251${'01'.repeat(17)}`, /a bignum of 17 bytes/)
  })

  it('writes bytes as an array of integers and reads no byte string', () => {
    writes(bytes, Uint8Array.of(0, 23, 24, 200, 255), '850017181818c818ff')
    writes(bytes, new Uint8Array(), '80')
    assert.deepEqual(bytes.fromWireCbor(unhex('83190001051805')), Uint8Array.of(1, 5, 5))
    refuses(bytes, '43010203', /expected an array of bytes, got a byte string/)
    refuses(bytes, '82011903e8', /item 1 of an array of bytes is not an integer from 0 to 255/)
    refuses(bytes, '8120', /item 0 of an array of bytes/)
    refuses(bytes, '8118', /the bytes end inside a head/)
  })

  it('reads and writes megabytes of bytes as they are', () => {
    const many = new Uint8Array(3_000_001).map((_, index) => index % 256)
    const written = bytes.toWireCbor(many)
    assert.ok(Buffer.from(bytes.fromWireCbor(written)).equals(many))
  })

  it('tells null from a value, and texts from maps, as enums need it', () => {
    writes(optional(text), null, 'f6')
    const Choice = variants('Choice', { Bare: null, Held: text })
    writes(Choice, 'Bare', '6442617265')
    writes(Choice, { Held: 'x' }, 'a16448656c646178')
    refuses(Choice, '6142', /expected "Bare" or \{"Held": …\}, got "B"/)
    refuses(Choice, 'a161426178', /got a map with "B"/)
    refuses(Choice, 'a0', /got a map of 0/)
    refuses(Choice, '01', /got an integer/)
    refuses(Choice, 'a1644261726580', /got a map with "Bare"/)
  })

  it('reads a text of indefinite length, in pieces', () => {
    assert.equal(text.fromWireCbor(unhex('7f62c3a9616260ff')), 'éb')
    refuses(text, '7f6161', /the bytes end/)
    refuses(text, '7f01ff', /expected a piece of text, got an integer/)
    refuses(text, '7f61c361a9ff', /not UTF-8/)
    refuses(list(text), '9f6161ff', /expected an array, got an array of indefinite length/)
    refuses(map(text), 'bf61616162ff', /expected a map, got a map of indefinite length/)
  })

  it('refuses a text that is not UTF-8', () => {
    refuses(text, '62c328', /a text is not UTF-8/)
    refuses(text, '63eda080', /a text is not UTF-8/)
  })

  it('refuses bytes that end early, and bytes that follow', () => {
    refuses(text, '', /the bytes end where a value should be \(at byte 0\)/)
    refuses(text, '626', /has 0 bytes/)
    refuses(bool, 'f5f4', /1 bytes follow the value/)
    refuses(f64, 'fb00', /the bytes end inside a float/)
  })
})

describe('records between peers', () => {
  const Part = record('Part', { size: u64 })
  const Whole = record('Whole', {
    name: text,
    part: optional(Part),
    note: skipNull(text),
    count: withDefault(u64, () => 7),
  })

  it('are maps with their fields in the order of declaration', () => {
    writes(
      Whole,
      { name: 'n', part: { size: 1 }, note: null, count: 2 },
      'a3646e616d65616e6470617274a16473697a650165636f756e7402',
    )
  })

  it('are read in any order, with defaults for what is missing and without what is unknown', () => {
    const written = 'a365636f756e740263787878a161618201f6646e616d65616e'
    assert.deepEqual(Whole.fromWireCbor(unhex(written)), {
      count: 2,
      name: 'n',
      part: null,
      note: null,
    })
    assert.deepEqual(Whole.fromWireCbor(unhex('a1646e616d65616e')), {
      name: 'n',
      part: null,
      note: null,
      count: 7,
    })
  })

  it('name the field that is missing, there twice, or of another type', () => {
    refuses(Whole, 'a0', /it is missing/, 'name')
    refuses(Whole, 'a1646e616d6501', /expected a text, got an integer/, 'name')
    refuses(Whole, 'a2646e616d65616e646e616d65616e', /duplicate field "name"/)
    refuses(Whole, 'a2646e616d65616e6470617274a0', /it is missing/, 'part.size')
    refuses(Whole, '82616101', /expected a map \(Whole\), got an array/)
    refuses(Whole, 'a101616e', /expected a text as key, got an integer/)
  })

  it('in lists name their place', () => {
    refuses(list(Part), '82a16473697a6501a16473697a65f5', /got true/, '[1].size')
    refuses(map(Part), 'a16161a16473697a65f5', /got true/, 'a.size')
    refuses(tuple('pair', text, u64), '8161', /expected an array of 2, got one of 1/)
    refuses(tuple('pair', text, u64), '82616161', /has 0 bytes|got/, '[1]')
  })

  it('refuse a key of a map that is there twice, and take __proto__ for a key', () => {
    refuses(map(u64), 'a2616101616102', /duplicate key "a"/)
    const read = map(u64).fromWireCbor(unhex('a1695f5f70726f746f5f5f01'))
    assert.deepEqual(Object.entries(read), [['__proto__', 1]])
    assert.equal(Object.getPrototypeOf(read), Object.prototype)
  })

  it('sort their sets and take out what is there twice', () => {
    const numbers = setOf(u64, (a, b) => b - a)
    assert.deepEqual(numbers.fromWireCbor(unhex('84010302' + '03')), [3, 2, 1])
    assert.equal(hex(numbers.toWireCbor([1, 2, 2, 3])), '83030201')
  })
})

describe('a list of records that others made', () => {
  const Small = record('Small', { size: u64 })
  const all = record('All', { records: tolerantList(Small) })
  const written = (...items: string[]) =>
    unhex(`a1677265636f726473${(0x80 + items.length).toString(16)}${items.join('')}`)
  const good = 'a16473697a6505'

  it('leaves out those that do not fit, and says which and why', () => {
    const dropped: ConfigIssue[] = []
    const beyond = 'a16473697a651b0040000000000000'
    const read = all.fromWireCbor(
      written(good, beyond, 'a16473697a656161', '82' + good + good, 'a0', good),
      { onDropped: (issue) => dropped.push(issue) },
    )
    assert.deepEqual(read, { records: [{ size: 5 }, { size: 5 }] })
    assert.deepEqual(
      dropped.map(({ path }) => path),
      ['records[1].size', 'records[2].size', 'records[3]', 'records[4].size'],
    )
    assert.match(dropped[0]!.message, /got 18014398509481984/)
    assert.match(dropped[2]!.message, /expected a map \(Small\), got an array/)
  })

  it('is refused as a whole when it is not CBOR, or when nearly nothing fits', () => {
    refuses(all, 'a1677265636f72647382ff' + good, /got the byte 0xff/, 'records')
    refuses(all, 'a1677265636f72647382' + good, /the bytes end/, 'records')
    const many = Buffer.from([0x99, 0, 0])
    many.writeUInt16BE(MAX_DROPPED_RECORDS + 1, 1)
    refuses(
      all,
      `a1677265636f726473${hex(many)}${'00'.repeat(MAX_DROPPED_RECORDS + 1)}`,
      /more than 1000 records do not fit/,
      'records',
    )
  })

  it('is strict in JSON', () => {
    assert.throws(() => all.fromJson('{"records":[{"size":-1}]}'), { code: 'ERR_CONFIG' })
  })

  it('keeps the rest of a snapshot readable', () => {
    const announcement = {
      network_id: 'n',
      peer_id: 'p',
      addresses: ['a'],
      advertised_roles: { roles: ['TrainerCpu' as const] },
      announced_at: '2026-01-02T03:04:05Z',
    }
    const snapshot = {
      ...EMPTY_SNAPSHOT,
      peer_directory_announcements: [announcement, announcement],
    }
    const bytes = Buffer.from(ControlResponse.toWireCbor({ Snapshot: snapshot }))
    // A role of a later version in the first of the two.
    bytes.write('TrainerXpu', bytes.indexOf('TrainerCpu'))
    assert.deepEqual(ControlResponse.fromWireCbor(bytes), {
      Snapshot: { ...EMPTY_SNAPSHOT, peer_directory_announcements: [announcement] },
    })
  })
})

describe('hostile CBOR', () => {
  it('gets no memory on the word of a count', () => {
    for (const head of ['9b7fffffffffffffff', '9affffffff', '99ffff']) {
      refuses(list(u64), head, /has 0 bytes/)
      refuses(bytes, head, /has 0 bytes/)
      refuses(f32Array, head, /has 0 bytes/)
    }
    refuses(map(u64), 'bb00000000ffffffff', /has 0 bytes/)
    refuses(text, '7b00000000ffffffff', /has 0 bytes/)
    refuses(f32Array, `98ff${'fa'.repeat(255)}`, /255 floats of 32 bits have 255 bytes/)
    refuses(map(u64), `b8ff${'60'.repeat(300)}`, /a map of 255 entries has 300 bytes/)
  })

  it('is refused beyond so many bytes, levels and values', () => {
    const long = text.toWireCbor('x'.repeat(100))
    assert.equal(text.fromWireCbor(long, { maxBytes: 102 }).length, 100)
    assert.throws(() => text.fromWireCbor(long, { maxBytes: 101 }), {
      code: 'ERR_WIRE_FORMAT',
      message: /102 bytes exceed the limit of 101/,
    })
    const nest = (levels: number) => '81'.repeat(levels) + '01'
    refuses(json, nest(MAX_WIRE_DEPTH + 1), /nested deeper than 256 levels/)
    const head = Buffer.from([0x9a, 0, 0, 0, 0])
    head.writeUInt32BE(MAX_WIRE_VALUES, 1)
    const many = hex(head) + '60'.repeat(MAX_WIRE_VALUES)
    refuses(list(text), many, /more than 500000 values/, `[${MAX_WIRE_VALUES - 1}]`)
  })

  it('in a field that is not known is passed over without recursion', () => {
    const Small = record('Small', { a: withDefault(u64, () => 1) })
    const unknown = `a16162${'81'.repeat(100_000)}01`
    assert.deepEqual(Small.fromWireCbor(unhex(unknown)), { a: 1 })
    refuses(Small, 'a161629f', /expected an array, got an array of indefinite length/)
    refuses(Small, 'a161625803', /expected a value, got a byte string/)
    refuses(Small, 'a16162f7', /got the byte 0xf7/)
    refuses(Small, `a16162${'9a0007ffff' + '80'.repeat(0x7ffff)}`, /more than 500000 values/)
  })
})
