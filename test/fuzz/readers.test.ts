/** The readers that are no codec: fetch manifests, safetensors headers, answers of a worker, frames. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { manifestPieces, parseManifest } from '../../lib/data/manifest-json.js'
import { DataSchemaError, MAX_FETCH_MANIFEST_BYTES } from '../../lib/data/index.js'
import { parseSafetensorsHeader, SafetensorsHeaderError } from '../../lib/safetensors/index.js'
import { ProtocolError } from '../../lib/errors.js'
import { readResponse } from '../../lib/runtime/process/protocol.js'
import { FrameReader, frameOf, FrameTooLarge } from '../../lib/runtime/process/protocol-frames.js'
import { readPythonJson } from '../../lib/runtime/process/protocol-read.js'
import { writePythonJson } from '../../lib/runtime/process/protocol-write.js'
import { safetensorsFile, tensor } from '../safetensors/support.js'
import { runs } from '../support/runs.js'
import { asSent } from './as-sent.js'
import { holds, outcome } from './holds.js'
import { hostileJson } from './hostile-json.js'

const MANIFEST = JSON.stringify({
  dataset_view_id: 'view-1',
  entries: [0, 1].map((ordinal) => ({
    microshard_id: `m${ordinal}`,
    ordinal,
    locator: `0000${ordinal}.bin`,
    content_hash: '1220ab',
    bytes_len: 12,
  })),
})

const FAILURE = `{"code":"ERR_HOOK_RAISED","message":"m","python_type":"E","traceback":"t","path":"a.b",
  "state_changed":true}`
const ANSWERS = [
  '{"id":7,"ok":true,"result":{"a":[1,2.5,NaN,-Infinity,"\\ud800",null]}}',
  '{"id":7,"ok":true}',
  '{"id":7,"progress":[1,10,{"loss":0.5}]}',
  `{"id":7,"ok":false,"error":"E","failure":${FAILURE}}`,
  '{"id":7,"ok":false,"error":"bad\\nTraceback (most recent call last):\\n  File\\nKeyError: 1\\n"}',
] as const

const HEADER = {
  __metadata__: { format: 'pt' },
  a: tensor('F32', [2, 3], 0, 24),
  'b.weight': tensor('BF16', [], 24, 26),
  z: tensor('F4', [4], 26, 28),
}

describe('hostile bytes', () => {
  it('as a fetch manifest are refused with ERR_DATA_SCHEMA, or read to what is written and read back the same', async function () {
    this.timeout(600_000)
    const parse = (bytes: Uint8Array) =>
      parseManifest(bytes, 'It', { maxBytes: MAX_FETCH_MANIFEST_BYTES })
    const tally = new Tally()
    await holds(runs(500), hostileJson([MANIFEST]), async (bytes) => {
      const read = await parse(bytes).catch((error: unknown) => {
        assert.ok(error instanceof DataSchemaError, String(error))
      })
      tally.add(read !== undefined)
      if (read === undefined) return
      const written = Buffer.concat([...manifestPieces(read)])
      assert.deepEqual(Buffer.concat([...manifestPieces(await parse(written))]), written)
    })
    tally.hasBoth()
  })

  it('as a safetensors header are refused with their fault, or describe tensors that fill the file without a gap', async function () {
    this.timeout(600_000)
    const tally = new Tally()
    await holds(
      runs(500),
      fc.tuple(hostileJson([JSON.stringify(HEADER)]), fc.constantFrom(28, 28, 28, 0, 27)),
      ([header, data]) => {
        const file = safetensorsFile(header, data)
        const read = outcome(
          () => parseSafetensorsHeader(file, file.byteLength),
          (error) => error instanceof SafetensorsHeaderError,
        )
        tally.add(read !== undefined)
        if (read === undefined) return
        let at = 0
        for (const { offset, bytes } of read.value.tensors) {
          assert.equal(offset, at)
          at += bytes
        }
        assert.equal(read.value.dataStart + at, file.byteLength)
        const { metadata, tensors } = read.value
        const infos = tensors.map(({ name, dtype, shape, offset, bytes }): [string, object] => [
          name,
          tensor(dtype, shape, offset, offset + bytes),
        ])
        const all = metadata === null ? infos : [['__metadata__', textObject(metadata)], ...infos]
        const json = all.map(([name, info]) => `${JSON.stringify(name)}:${JSON.stringify(info)}`)
        const again = safetensorsFile(`{${json.join()}}`, at)
        const { dataStart, ...rest } = parseSafetensorsHeader(again, again.byteLength)
        assert.deepEqual(rest, { metadata, tensors })
        assert.equal(dataStart, again.byteLength - at)
      },
    )
    tally.hasBoth()
  })

  it('as the answer of a worker are refused with ERR_PROTOCOL, or carry a result that is written and read back the same', async function () {
    this.timeout(600_000)
    const tally = new Tally()
    await holds(runs(500), hostileJson(ANSWERS), (bytes) => {
      const read = outcome(
        () => readResponse(bytes, 7, 'evaluate'),
        (error) => error instanceof ProtocolError,
      )
      tally.add(read !== undefined)
      if (read === undefined || !('ok' in read.value) || !read.value.ok) return
      const { result } = read.value
      assert.deepEqual(readPythonJson(Buffer.from(writePythonJson(asSent(result)))), result)
    })
    tally.hasBoth()
  })

  it('as frames in random pieces give the same frames as in one piece, and stop at the same length', async function () {
    this.timeout(600_000)
    const lengths = fc.oneof(
      fc.bigInt({ min: 0n, max: 40n }),
      fc.constantFrom(2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
    )
    const liar = fc.tuple(lengths, fc.uint8Array({ maxLength: 40 })).map(([length, body]) => {
      const header = Buffer.alloc(8)
      header.writeBigUInt64BE(length)
      return Buffer.concat([header, body])
    })
    const part = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }).map(frameOf),
      fc.string({ unit: 'binary', maxLength: 40 }).map(frameOf),
      liar,
      fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
    )
    const cuts = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 })
    await holds(runs(200), fc.tuple(fc.array(part, { maxLength: 8 }), cuts), ([parts, sizes]) => {
      const stream = Buffer.concat(parts)
      const pieces: Buffer[] = []
      for (let at = 0, i = 0; at < stream.length; i++) {
        const end = at + sizes[i % sizes.length]!
        pieces.push(stream.subarray(at, end))
        at = end
      }
      assert.deepEqual(framesOf(pieces), framesOf([stream]))
      assert.deepEqual(framesOf([stream]), framesByHand(stream))
    })
  })
})

/** Longest frame that the readers below take, in bytes. */
const LIMIT = 256

interface Frames {
  readonly frames: readonly string[]
  /** The length that was too large, or the number of bytes that belong to no whole frame. */
  readonly end: bigint | 'part' | 'whole'
}

function framesOf(pieces: readonly Buffer[]): Frames {
  const reader = new FrameReader(LIMIT)
  const frames: string[] = []
  try {
    for (const piece of pieces) {
      for (const frame of reader.push(piece)) frames.push(frame.toString('hex'))
    }
  } catch (error) {
    assert.ok(error instanceof FrameTooLarge, String(error))
    return { frames, end: error.announced }
  }
  return { frames, end: reader.hasPart ? 'part' : 'whole' }
}

/** The same by the text of spec worker-protocol#frames, without a state. */
function framesByHand(stream: Buffer): Frames {
  const frames: string[] = []
  let at = 0
  while (at + 8 <= stream.length) {
    const length = stream.readBigUInt64BE(at)
    if (length > BigInt(LIMIT)) return { frames, end: length }
    const end = at + 8 + Number(length)
    if (end > stream.length) break
    frames.push(stream.subarray(at + 8, end).toString('hex'))
    at = end
  }
  return { frames, end: at < stream.length ? 'part' : 'whole' }
}

/** A property is of no use unless its cases come to both ends. */
class Tally {
  #accepted = 0
  #refused = 0

  add(isAccepted: boolean): void {
    if (isAccepted) this.#accepted += 1
    else this.#refused += 1
  }

  hasBoth(): void {
    const enough = Math.min(this.#accepted, this.#refused) > (this.#accepted + this.#refused) / 50
    assert.ok(enough, `${this.#accepted} accepted, ${this.#refused} refused`)
  }
}

function textObject(entries: ReadonlyMap<string, string>): object {
  const object = {}
  for (const [name, value] of entries) {
    Object.defineProperty(object, name, { value, enumerable: true, configurable: true })
  }
  return object
}
