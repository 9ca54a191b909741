/** Messages of peers, from bytes that anyone may have sent. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { ConfigError } from '../../lib/index.js'
import { WireFormatError } from '../../lib/errors.js'
import type { Codec } from '../../lib/schema/index.js'
import { encodeWireCbor } from '../../lib/schema/wire-cbor.js'
import {
  ControlRequest,
  ControlResponse,
  gossipMessageId,
  PeerDirectoryAnnouncement,
  PubsubEnvelope,
} from '../../lib/schema/records/network/index.js'
import { anyValue } from '../../lib/schema/values.js'
import { recordedMessages } from '../recorded/messages.js'
import { jsons, wires } from '../schema/support/arbitraries.js'
import { independentWireCbor } from '../schema/support/independent-cbor.js'
import { runs } from '../support/runs.js'
import { hostileCbor } from './hostile-cbor.js'
import { hostileJson } from './hostile-json.js'
import { holds, MAX_CASE_MS, outcome } from './holds.js'
import { CODECS, samplesOf } from './samples.js'

/** Longest recorded message that is varied, in bytes: what is small is tried more often. */
const MAX_SAMPLE_BYTES = 6000

type Some<T> = readonly [T, ...T[]]

function samples(kind: 'request' | 'response'): Some<Uint8Array> {
  const all = recordedMessages(kind).map(({ cbor }) => cbor!)
  return all.filter(({ length }) => length <= MAX_SAMPLE_BYTES) as unknown as Some<Uint8Array>
}

/** Checks that bytes are refused with the one typed error, or read to what is written and read back the same. */
function readOrRefused(codec: Codec<unknown>, bytes: Uint8Array): boolean {
  const read = outcome(
    () => codec.fromWireCbor(bytes),
    (error) => error instanceof WireFormatError,
  )
  if (read === undefined) return false
  const written = codec.toWireCbor(read.value)
  const again = codec.fromWireCbor(written)
  assert.deepEqual(again, read.value)
  assert.deepEqual(codec.toWireCbor(again), written)
  return true
}

describe('hostile bytes as a message of a peer', () => {
  const codecs = { request: ControlRequest, response: ControlResponse } as const
  for (const kind of ['request', 'response'] as const) {
    it(`as a ${kind} are refused with ERR_WIRE_FORMAT, or read to what is written and read back the same`, async function () {
      this.timeout(600_000)
      let accepted = 0
      const cases = runs(1000)
      await holds(cases, hostileCbor(samples(kind)), (bytes) => {
        if (readOrRefused(codecs[kind], bytes)) accepted += 1
      })
      assert.ok(accepted > 0 && accepted < cases, `accepted ${accepted} of ${cases}`)
    })
  }

  it('as gossip are refused with ERR_CONFIG, or read to what is written and read back the same; each has an id', async function () {
    this.timeout(600_000)
    const texts = recordedMessages('gossip').map(({ json }) => json!) as unknown as Some<string>
    let accepted = 0
    const cases = runs(300)
    await holds(cases, hostileJson(texts), (bytes) => {
      assert.match(gossipMessageId(bytes), /^1220[0-9a-f]{64}$/)
      const read = outcome(
        () => PubsubEnvelope.fromJson(bytes),
        (error) => error instanceof ConfigError,
      )
      if (read === undefined) return
      accepted += 1
      const written = PubsubEnvelope.toJson(read.value)
      assert.deepEqual(PubsubEnvelope.fromJson(written), read.value)
    })
    assert.ok(accepted > 0 && accepted < cases, `accepted ${accepted} of ${cases}`)
  })

  it('of ten megabytes, of the kinds that cost most, take less than two seconds of the processor and 128 MiB', () => {
    const size = 10 * 1024 * 1024
    const filled = (start: string, unit: string): Uint8Array => {
      const head = Buffer.from(start, 'hex')
      const body = Buffer.alloc(size - head.length, Buffer.from(unit, 'hex'))
      return new Uint8Array(Buffer.concat([head, body]))
    }
    const word = (text: string) => Buffer.from(encodeWireCbor(text)).toString('hex')
    const long = '9a009fff00'
    const worst: [string, Codec<unknown>, Uint8Array][] = [
      ['nested arrays', anyValue, filled('', '81')],
      ['empty arrays', anyValue, filled(long, '80')],
      ['empty texts', PeerDirectoryAnnouncement, filled(`a1${word('addresses')}${long}`, '60')],
      ['an unknown field', PeerDirectoryAnnouncement, filled(`a1${word('other')}${long}`, '80')],
      ['pieces of a text', anyValue, filled('7f', '6161')],
      ['entries of a map', anyValue, filled('ba000fffff', '6300000001')],
      ['integers in nine bytes', anyValue, filled('9a000fffff', '1b0000000000000001')],
      [
        'a record with as many unknown fields',
        PeerDirectoryAnnouncement,
        filled('ba000fffff', '61780080'),
      ],
      [
        'records that do not fit',
        ControlResponse,
        filled(`a1${word('Snapshot')}b3${word('control_announcements')}${long}`, 'a0'),
      ],
      [
        'heads that promise',
        ControlResponse,
        filled(`a1${word('Snapshot')}`, 'bb00000000009fff00'),
      ],
    ]
    for (const [name, codec, bytes] of worst) {
      globalThis.gc!()
      const before = process.memoryUsage()
      const start = process.cpuUsage()
      assert.throws(() => codec.fromWireCbor(bytes), WireFormatError, name)
      // Of the processor, not of the clock: the machine may be busy.
      const { user, system } = process.cpuUsage(start)
      const took = (user + system) / 1000
      const after = process.memoryUsage()
      const growth = after.heapUsed + after.external - before.heapUsed - before.external
      assert.ok(took < MAX_CASE_MS, `${name}: ${Math.round(took)} ms`)
      assert.ok(growth < 128 * 1024 * 1024, `${name}: ${growth} bytes`)
    }
  })
})

describe('CBOR of peers', () => {
  it('is that of an independent writer', () => {
    fc.assert(
      fc.property(wires, (value) => {
        assert.equal(Buffer.from(encodeWireCbor(value)).toString('hex'), independentWireCbor(value))
      }),
      { numRuns: runs(500) },
    )
  })

  it('brings any value back as it was', () => {
    fc.assert(
      fc.property(jsons, (value) => {
        assert.deepEqual(anyValue.fromWireCbor(anyValue.toWireCbor(value)), value)
      }),
      { numRuns: runs(500) },
    )
  })

  it('brings a sample of every record back as it was', () => {
    for (const [name, codec] of CODECS) {
      for (const text of samplesOf(codec)) {
        const value = codec.fromJson(text)
        assert.deepEqual(codec.fromWireCbor(codec.toWireCbor(value)), value, name)
      }
    }
  })
})
