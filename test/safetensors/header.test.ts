/** Headers that are right, and one test for each way in which a header can lie. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import fc from 'fast-check'

import {
  DTYPE_BITS,
  parseSafetensorsHeader,
  readSafetensorsHeader,
  SafetensorsHeaderError,
  SafetensorsIoError,
  type Dtype,
  type HeaderFault,
} from '../../lib/safetensors/index.js'
import { safetensorsFile, tensor } from './support.js'
import { runs } from '../support/runs.js'

const parse = (file: Buffer) => parseSafetensorsHeader(file, file.byteLength)

describe('a safetensors header', () => {
  it('gives the tensors in the order of their data, and the metadata', () => {
    const file = safetensorsFile(
      {
        late: tensor('F32', [2, 3], 4, 28),
        __metadata__: { format: 'pt', '': 'é' },
        early: tensor('BF16', [2], 0, 4),
      },
      28,
    )
    const header = parse(file)
    assert.deepEqual(header.tensors, [
      { name: 'early', dtype: 'BF16', shape: [2], offset: 0, bytes: 4 },
      { name: 'late', dtype: 'F32', shape: [2, 3], offset: 4, bytes: 24 },
    ])
    assert.deepEqual(
      [...(header.metadata ?? [])],
      [
        ['format', 'pt'],
        ['', 'é'],
      ],
    )
    assert.equal(header.dataStart, file.byteLength - 28)
  })

  it('needs only the bytes of the header, and how long the file is', () => {
    const file = safetensorsFile({ a: tensor('U8', [1000], 0, 1000) }, 1000)
    const { dataStart } = parse(file)
    const header = parseSafetensorsHeader(file.subarray(0, dataStart), file.byteLength)
    assert.equal(header.tensors[0]?.bytes, 1000)
    assert.throws(() => parseSafetensorsHeader(file.subarray(0, 20), file.byteLength), RangeError)
  })

  it('may have no tensor, and then no metadata', () => {
    assert.deepEqual(parse(safetensorsFile('{}')), { dataStart: 10, metadata: null, tensors: [] })
    assert.equal(parse(safetensorsFile('{"__metadata__":null}')).metadata, null)
  })

  it('may be padded with white space, have other fields, and escape its names', () => {
    const field = '{"x":[1e5,{"y":[null,true,"z"]}],"dtype":"U8","shape":[],"data_offsets":[0,1]}'
    const { tensors } = parse(safetensorsFile(`{ "\\u0061\\n" :\t${field}\r\n}   `, 1))
    assert.deepEqual(tensors, [{ name: 'a\n', dtype: 'U8', shape: [], offset: 0, bytes: 1 }])
  })

  it('may name a tensor __proto__', () => {
    const file = safetensorsFile('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 1)
    assert.equal(parse(file).tensors[0]?.name, '__proto__')
  })

  it('puts tensors without data at one place in the order of their names', () => {
    const empty = tensor('F32', [0], 4, 4)
    const file = safetensorsFile({ z: empty, a: tensor('F32', [1], 0, 4), b: empty }, 4)
    const names = (found: Buffer) => parse(found).tensors.map(({ name }) => name)
    assert.deepEqual(names(file), ['a', 'b', 'z'])
  })

  it('takes every dtype at its own size and no other', () => {
    for (const [dtype, bits] of Object.entries(DTYPE_BITS)) {
      assert.equal(
        parse(safetensorsFile({ a: tensor(dtype, [8], 0, bits) }, bits)).tensors.length,
        1,
      )
      refuses('size', { a: tensor(dtype, [8], 0, bits + 1) }, bits + 1)
    }
  })

  it('is read back whatever tensors it was made of', () => {
    const dtypes = Object.keys(DTYPE_BITS) as Dtype[]
    const info = fc.record({
      name: fc.string({ unit: 'grapheme' }),
      dtype: fc.constantFrom(...dtypes),
      // Multiples of four elements fill whole bytes in every dtype.
      shape: fc.array(fc.nat(5), { maxLength: 3 }).map((shape) => [4, ...shape]),
    })
    const infos = fc.uniqueArray(info, {
      selector: ({ name }) => name,
      maxLength: 12,
    })
    fc.assert(
      fc.property(infos, (made) => {
        let offset = 0
        const tensors = made
          .filter(({ name }) => name !== '__metadata__')
          .map(({ name, dtype, shape }) => {
            const bytes = (shape.reduce((a, b) => a * b) * DTYPE_BITS[dtype]) / 8
            const begin = offset
            offset += bytes
            return { name, dtype, shape, offset: begin, bytes }
          })
        const entries = tensors.map(
          (item) =>
            `${JSON.stringify(item.name)}:` +
            JSON.stringify(tensor(item.dtype, item.shape, item.offset, item.offset + item.bytes)),
        )
        const found = parse(safetensorsFile(`{${entries.reverse().join()}}`, offset)).tensors
        const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
        assert.deepEqual([...found].sort(byName), [...tensors].sort(byName))
        let at = 0
        for (const item of found) {
          assert.equal(item.offset, at)
          at += item.bytes
        }
      }),
      { numRuns: runs(100) },
    )
  })
})

function refuses(
  fault: HeaderFault,
  header: Parameters<typeof safetensorsFile>[0],
  data = 0,
  message = /./,
): void {
  assert.throws(
    () => parse(safetensorsFile(header, data)),
    (error: unknown) => {
      assert.ok(error instanceof SafetensorsHeaderError, String(error))
      assert.equal(error.code, 'ERR_SAFETENSORS_HEADER')
      assert.equal(error.fault, fault, error.message)
      assert.match(error.message, message)
      assert.ok(error.message.length < 1000, 'a message does not grow with the header')
      return true
    },
  )
}

describe('a safetensors header is refused', () => {
  it('when the file is too short for its length', () => {
    for (const bytes of [0, 1, 7]) {
      assert.throws(() => parse(Buffer.alloc(bytes)), { fault: 'header_too_small' })
    }
  })

  it('when it is longer than 100,000,000 bytes, or than the limit given', () => {
    const at = (length: bigint) => safetensorsFile('{}', 0, length)
    assert.throws(() => parse(at(100_000_001n)), { fault: 'header_too_large' })
    assert.throws(() => parse(at(2n ** 64n - 1n)), { fault: 'header_too_large' })
    const file = safetensorsFile('{}')
    const limits = { maxHeaderBytes: 1 }
    assert.throws(() => parseSafetensorsHeader(file, file.byteLength, limits), {
      fault: 'header_too_large',
    })
  })

  it('when it is longer than the file', () => {
    assert.throws(() => parse(safetensorsFile('{}', 0, 100_000_000n)), { fault: 'header_length' })
    assert.throws(() => parse(safetensorsFile('{}', 0, 3n)), { fault: 'header_length' })
  })

  it('when it does not begin with a brace', () => {
    for (const text of [' {}', '', '[]', '\ufeff{}']) refuses('header_start', text)
  })

  it('when it is not UTF-8', () => {
    refuses('encoding', Buffer.from('{"\xff":1}', 'latin1'))
    refuses('encoding', Buffer.from([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22])) // A surrogate.
  })

  it('when it is not JSON', () => {
    const texts = ['{', '{"a"', '{}x', '{}\0', '{"a":1,}', '{,}', '{a:1}', '{"a\n":1}', '{"\\x":1}']
    const values = [
      '01',
      '1.',
      '.5',
      '+1',
      '1e999',
      'NaN',
      'nul',
      '[1 2]',
      '[1,]',
      '"',
      '"\\ud800"',
    ]
    for (const text of texts) refuses('json', text)
    for (const value of values) refuses('json', `{"a":{"x":${value}}}`)
  })

  it('when it is nested deeper than 127 levels', () => {
    const nested = (levels: number) =>
      `{"a":{"x":${'['.repeat(levels)}${']'.repeat(levels)},"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`
    assert.equal(parse(safetensorsFile(nested(125))).tensors.length, 1)
    refuses('json', nested(126), 0, /nested deeper than 127/)
    refuses('json', `{"a":{"x":${'['.repeat(100_000)}`)
  })

  it('when a name is there twice', () => {
    const entry = JSON.stringify(tensor('U8', [0], 0, 0))
    refuses('duplicate_name', `{"a":${entry},"\\u0061":${entry}}`, 0, /appears twice in "a"/)
    refuses('duplicate_name', '{"__metadata__":{"a":"","a":""}}')
    refuses('duplicate_name', '{"__metadata__":{},"__metadata__":{}}')
    for (const field of ['dtype":"U8"', 'shape":[0]', 'data_offsets":[0,0]']) {
      refuses('duplicate_name', `{"a":{"${field},"${field}}}`)
    }
  })

  it('when the metadata are anything but texts', () => {
    for (const metadata of [1, 'x', [], { a: 1 }, { a: null }, tensor('U8', [1], 0, 1)]) {
      refuses('json', { __metadata__: metadata })
    }
  })

  it('when a tensor lacks a field, or has one of a wrong type', () => {
    const good = { dtype: 'U8', shape: [1], data_offsets: [0, 1] }
    for (const field of Object.keys(good)) {
      for (const value of [undefined, null, 1, 'x', {}, [[]], ['1']]) {
        refuses('json', { a: { ...good, [field]: value } }, 1)
      }
    }
    for (const value of [null, 1, 'x', [], ['U8', [1], [0, 1]]]) refuses('json', { a: value }, 1)
    refuses('json', { a: { ...good, data_offsets: [0, 1, 1] } }, 1, /3 data_offsets instead of 2/)
  })

  it('when a dtype is unknown, and quotes it', () => {
    refuses(
      'json',
      { 'layer.0': tensor('f32', [1], 0, 4) },
      4,
      /"f32" is not a known dtype in "layer\.0"/,
    )
    refuses('json', { a: tensor('toString', [1], 0, 4) }, 4)
  })

  it('when a dimension or an offset is not an integer from 0 to 2^64 - 1', () => {
    for (const number of ['-1', '1.0', '1e0', '-0', '18446744073709551616', '1e400']) {
      refuses('json', `{"a":{"dtype":"U8","shape":[${number}],"data_offsets":[0,1]}}`, 1)
      refuses('json', `{"a":{"dtype":"U8","shape":[1],"data_offsets":[${number},1]}}`, 1)
    }
  })

  it('when a dimension or an offset is beyond 2^53 - 1', () => {
    refuses('dimension', '{"a":{"dtype":"U8","shape":[0,9007199254740992],"data_offsets":[0,0]}}')
    refuses('offset', '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,9007199254740992]}}')
  })

  it('when the size of a tensor overflows 64 bits, even beside a dimension of 0', () => {
    const at = (...shape: number[]) => ({ a: tensor('U8', shape, 0, 0) })
    refuses('overflow', at(2 ** 32, 2 ** 32, 0))
    refuses('overflow', at(2 ** 31, 2 ** 30))
    assert.deepEqual(parse(safetensorsFile(at(0, 2 ** 32, 2 ** 32))).tensors[0]?.bytes, 0)
  })

  it('when a packed tensor does not fill its last byte', () => {
    refuses('alignment', { a: tensor('F4', [3], 0, 2) }, 2)
    refuses('alignment', { a: tensor('F6_E2M3', [2], 0, 1) }, 1)
  })

  it('when the bytes of a tensor are not its shape times its dtype', () => {
    refuses(
      'size',
      { a: tensor('F32', [3], 0, 8) },
      8,
      /F32 of shape \[3\] has 8 bytes instead of 12/,
    )
  })

  it('when tensors leave a hole, overlap, or end before they begin', () => {
    const four = (begin: number) => tensor('F32', [1], begin, begin + 4)
    refuses('offset', { a: four(4) }, 8, /begins at byte 4 of the data instead of 0/)
    refuses('offset', { a: four(0), b: four(5) }, 9)
    refuses('offset', { a: four(0), b: four(3) }, 7)
    refuses('offset', { a: four(0), b: four(0) }, 4)
    refuses('offset', { a: tensor('F32', [1], 4, 0) }, 4, /ends at 0, before it begins at 4/)
  })

  it('when the tensors end before or after the end of the file', () => {
    for (const data of [3, 5]) refuses('data_length', { a: tensor('F32', [1], 0, 4) }, data)
    refuses('data_length', '{}', 1)
  })

  it('when hostile texts are long, with a message that is short', () => {
    const long = 'x'.repeat(1_000_000)
    refuses('json', { [long]: tensor(long, [1], 0, 4) }, 4)
    refuses('size', { a: tensor('F32', Array(100_000).fill(1), 0, 8) }, 8)
  })

  it('in time that grows with its length only', () => {
    const backslashes = `{"${'\\\\'.repeat(1_000_000)}${'\\"'.repeat(1_000_000)}`
    const began = performance.now()
    refuses('json', backslashes)
    refuses('json', `{"a":{"x":${'1'.repeat(3_000_000)}`)
    refuses('json', `{${' '.repeat(3_000_000)}`)
    assert.ok(performance.now() - began < 5000)
  })
})

describe('the header of a safetensors file', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed safetensörs '))
  })
  after(() => rm(folder, { recursive: true }))

  it('is read without reading the data', async () => {
    const path = join(folder, 'large.safetensors')
    const bytes = 2 ** 33
    const start = safetensorsFile({ a: tensor('F32', [2 ** 31], 0, bytes) })
    await writeFile(path, start)
    await truncate(path, start.byteLength + bytes) // A hole: it takes no room.
    const before = process.memoryUsage().rss
    const header = await readSafetensorsHeader(path)
    assert.deepEqual(header.tensors, [
      { name: 'a', dtype: 'F32', shape: [2 ** 31], offset: 0, bytes },
    ])
    assert.ok(process.memoryUsage().rss - before < 2 ** 28)
  })

  it('names the file when it is wrong', async () => {
    const path = join(folder, 'cut.safetensors')
    await writeFile(path, safetensorsFile({ a: tensor('F32', [1], 0, 4) }, 3))
    await assert.rejects(readSafetensorsHeader(path), (error: unknown) => {
      assert.ok(error instanceof SafetensorsHeaderError)
      assert.equal(error.fault, 'data_length')
      assert.equal(error.path, path)
      assert.ok(error.message.includes('cut.safetensors'))
      return true
    })
  })

  it('is refused when there is no file, or a folder, or a pipe', async function () {
    const refused = async (path: string, message: RegExp) =>
      assert.rejects(readSafetensorsHeader(path), (error: unknown) => {
        assert.ok(error instanceof SafetensorsIoError)
        assert.equal(error.code, 'ERR_SAFETENSORS_IO')
        assert.match(error.message, message)
        return true
      })
    await refused(join(folder, 'none'), /none.*no such file/)
    await refused(folder, /not a regular file/)
    if (process.platform === 'win32') return this.skip()
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    await refused(pipe, /not a regular file/)
  })
})
