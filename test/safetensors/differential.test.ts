/** The verdicts of our reader beside those of the Python package, over files that were damaged in many ways. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import fc from 'fast-check'

import { findPython } from '../../lib/runtime/python/find-python.js'
import {
  DTYPE_BITS,
  parseSafetensorsHeader,
  SafetensorsHeaderError,
  type HeaderFault,
} from '../../lib/safetensors/index.js'
import { runs } from '../support/runs.js'
import { withTorch } from '../support/workloads.js'
import { safetensorsFile, tensor } from './support.js'

const SEED = 20260507

/** What a reader found in a file: its tensors by name and its metadata, or the reason against it. */
type Verdict =
  | { readonly tensors: Record<string, [string, number[], number]>; readonly metadata: unknown }
  | { readonly error: string }

/** Reads every file, one in base64 a line, with the package, and prints one verdict a line. */
const PACKAGE_READER = `
import base64, json, sys, tempfile
from safetensors import deserialize, safe_open
with tempfile.NamedTemporaryFile() as file:
    for line in sys.stdin:
        data = base64.b64decode(line)
        try:
            found = {n: [i["dtype"], i["shape"], len(i["data"])] for n, i in deserialize(data)}
            file.seek(0); file.truncate(); file.write(data); file.flush()
            with safe_open(file.name, "numpy") as opened:
                verdict = {"tensors": found, "metadata": opened.metadata()}
                assert set(opened.keys()) == set(found)
        except Exception as error:
            if type(error).__name__ != "SafetensorError": raise
            verdict = {"error": str(error)}
        print(json.dumps(verdict))
`

async function packageVerdicts(files: readonly Buffer[]): Promise<Verdict[]> {
  const { executable } = await findPython()
  const done = promisify(execFile)(executable, ['-c', PACKAGE_READER], { maxBuffer: 2 ** 28 })
  done.child.stdin?.end(files.map((file) => `${file.toString('base64')}\n`).join(''))
  const output = (await done).stdout
  return output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Verdict)
}

function ourVerdict(file: Buffer): Verdict & { readonly fault?: HeaderFault } {
  try {
    const { tensors, metadata } = parseSafetensorsHeader(file, file.byteLength)
    return {
      tensors: Object.fromEntries(
        tensors.map(({ name, dtype, shape, bytes }) => [name, [dtype, [...shape], bytes]]),
      ),
      metadata: metadata === null ? null : Object.fromEntries(metadata),
    }
  } catch (error) {
    assert.ok(error instanceof SafetensorsHeaderError, String(error))
    return { error: error.message, fault: error.fault }
  }
}

// --- files ---------------------------------------------------------------------------------------------------

const FIELDS = ['"dtype"', '"shape"', '"data_offsets"']

const dtype = fc.constantFrom(...(Object.keys(DTYPE_BITS) as (keyof typeof DTYPE_BITS)[]))

/** A right header, but for packed tensors that do not fill a byte, as parts that can be damaged one by one. */
const rightParts = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom('a', 'b.weight', 'é', '', 'x\u0000', '\u{1f600}', '__proto__', 'z'),
      dtype,
      shape: fc.array(fc.nat(4), { maxLength: 3 }),
    }),
    { maxLength: 5, selector: ({ name }) => name },
  )
  .map((infos) => {
    let at = 0
    const parts: [string, Map<string, string>][] = infos.map(({ name, dtype, shape }) => {
      const bytes = Math.ceil((shape.reduce((a, b) => a * b, 1) * DTYPE_BITS[dtype]) / 8)
      const values = [`"${dtype}"`, JSON.stringify(shape), `[${at},${at + bytes}]`]
      const fields = new Map(FIELDS.map((field, index) => [field, values[index]!]))
      at += bytes
      return [JSON.stringify(name), fields]
    })
    return { parts, data: at }
  })

/** Texts that a header may hold at some place, and that are wrong at others. */
const token = fc.constantFrom(
  ...['0', '1', '4', '-0', '-1', '1.0', '1e0', '1E+2', '01', '1e999', '2e', '0.', 'null', 'true'],
  ...['9007199254740991', '9007199254740992', '18446744073709551615', '18446744073709551616'],
  ...['[]', '[0]', '[0,0]', '[0,4]', '[4,0]', '[0,0,0]', '[0', '{}', '{', '}', ']', ',', ':', ' '],
  ...['""', '"F32"', '"F4"', '"f32"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\q"', '"\t"', '"', '\\'],
  ...['\u00a0', '\n', '//', '[0,18446744073709551615]', '[4294967296,4294967296,0]', '[[[[0]]]]'],
  ...['{"a":"b"}', '{"a":"b","a":"c"}', '{"a":1}', '"dtype":"U8",', '"x":1,', '"__metadata__":{},'],
)

/** Values of a field that have the right type. */
const otherValue = fc.oneof(
  fc.tuple(
    fc.constant('"dtype"'),
    dtype.map((name) => JSON.stringify(name)),
  ),
  fc.tuple(
    fc.constant('"shape"'),
    fc.constantFrom(
      '[]',
      '[0]',
      '[1]',
      '[2,2]',
      '[4294967296,4294967296,0]',
      '[0,9007199254740992]',
    ),
  ),
  fc.tuple(
    fc.constant('"data_offsets"'),
    fc.tuple(fc.nat(12), fc.nat(12)).map((pair) => JSON.stringify(pair)),
  ),
)

const damage = fc.oneof(
  fc.record({ kind: fc.constant('value' as const), at: fc.nat(), value: otherValue }),
  fc.record({ kind: fc.constant('field' as const), at: fc.nat(), field: fc.nat(2), token }),
  fc.record({ kind: fc.constant('drop' as const), at: fc.nat(), field: fc.nat(2) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), token }),
  fc.record({
    kind: fc.constant('cut' as const),
    at: fc.nat(),
    length: fc.integer({ min: 1, max: 6 }),
  }),
  fc.record({ kind: fc.constant('byte' as const), at: fc.nat(), byte: fc.nat(255) }),
  fc.record({ kind: fc.constant('repeat' as const), at: fc.nat(), length: fc.nat(40) }),
  fc.record({ kind: fc.constant('metadata' as const), token }),
  fc.record({ kind: fc.constant('data' as const), change: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ kind: fc.constant('length' as const), change: fc.integer({ min: -20, max: 20 }) }),
  fc.record({
    kind: fc.constant('pad' as const),
    token: fc.constantFrom(' ', '\n', '\t', '\0', '{}'),
  }),
)

const file = fc
  .tuple(rightParts, fc.array(damage, { maxLength: 2 }))
  .map(([{ parts, data }, damages]) => {
    let metadata: string | undefined
    for (const change of damages) {
      const fields =
        'at' in change ? parts.at(change.at % Math.max(1, parts.length))?.[1] : undefined
      if (change.kind === 'metadata') metadata = change.token
      if (!fields) continue
      if (change.kind === 'value') fields.set(change.value[0], change.value[1])
      if (change.kind === 'field') fields.set(FIELDS[change.field]!, change.token)
      if (change.kind === 'drop') fields.delete(FIELDS[change.field]!)
    }
    const entries = parts.map(
      ([name, fields]) =>
        `${name}:{${Array.from(fields)
          .map((pair) => pair.join(':'))
          .join()}}`,
    )
    if (metadata !== undefined) entries.push(`"__metadata__":${metadata}`)
    let header = Buffer.from(`{${entries.join()}}`)
    let dataBytes = data
    let lengthChange = 0
    for (const change of damages) {
      const at = 'at' in change ? change.at % (header.length + 1) : 0
      const before = header.subarray(0, at)
      const after = header.subarray(at)
      switch (change.kind) {
        case 'insert':
          header = Buffer.concat([before, Buffer.from(change.token), after])
          break
        case 'cut':
          header = Buffer.concat([before, after.subarray(change.length)])
          break
        case 'byte':
          header = Buffer.concat([before, Buffer.from([change.byte]), after.subarray(1)])
          break
        case 'repeat':
          header = Buffer.concat([before, after.subarray(0, change.length), after])
          break
        case 'pad':
          header = Buffer.concat([header, Buffer.from(change.token)])
          break
        case 'data':
          dataBytes = Math.max(0, dataBytes + change.change)
          break
        case 'length':
          lengthChange += change.change
          break
        default:
      }
    }
    const length = BigInt.asUintN(64, BigInt(header.length + lengthChange))
    return safetensorsFile(header, dataBytes, length)
  })

/** Where our reader is stricter on purpose, for damages as they come up at random. */
const STRICTER: readonly (HeaderFault | undefined)[] = [
  'duplicate_name',
  'header_start',
  'dimension',
]

;(withTorch ? describe : describe.skip)('beside the Python package safetensors', () => {
  it('gives the same verdict and the same tensors, or is stricter on purpose, over thousands of files', async function () {
    this.timeout(300_000)
    const count = runs(6000)
    const files = fc.sample(file, { numRuns: count, seed: SEED })
    const theirs = await packageVerdicts(files)
    assert.equal(theirs.length, files.length)
    const tally = { bothAccept: 0, bothRefuse: 0, stricter: 0 }
    const faults = new Map<string, number>()
    for (const [index, bytes] of files.entries()) {
      const their = theirs[index]!
      const our = ourVerdict(bytes)
      const shown = JSON.stringify(bytes.toString('latin1'))
      if ('error' in our) faults.set(our.fault!, (faults.get(our.fault!) ?? 0) + 1)
      if ('error' in their) {
        assert.ok('error' in our, `only we accept ${shown}: ${their.error}`)
        tally.bothRefuse++
      } else if ('error' in our) {
        assert.ok(STRICTER.includes(our.fault), `only we refuse ${shown}: ${our.error}`)
        tally.stricter++
      } else {
        assert.deepEqual(our, their, shown)
        tally.bothAccept++
      }
    }
    // The files are of no use unless they reach every rule, and both verdicts often.
    assert.ok(tally.bothAccept > count / 10 && tally.bothRefuse > count / 10, JSON.stringify(tally))
    const unreached = ALL_FAULTS.filter((fault) => !faults.has(fault))
    assert.deepEqual(unreached, [], `no file had these faults: ${JSON.stringify([...faults])}`)
  })

  it('is stricter than the package at these points and says why', async () => {
    const u8 = JSON.stringify(tensor('U8', [1], 0, 1))
    const points: [HeaderFault, Buffer][] = [
      ['header_start', safetensorsFile(` {"a":${u8}}`, 1)],
      ['duplicate_name', safetensorsFile(`{"a":${u8},"a":${u8}}`, 1)],
      ['duplicate_name', safetensorsFile('{"__metadata__":{"a":"b","a":"c"}}')],
      ['json', safetensorsFile('{"a":["U8",[1],[0,1]]}', 1)],
      ['json', safetensorsFile('{"a":{"dtype":{"U8":null},"shape":[1],"data_offsets":[0,1]}}', 1)],
      [
        'dimension',
        safetensorsFile('{"a":{"dtype":"U8","shape":[0,9007199254740992],"data_offsets":[0,0]}}'),
      ],
    ]
    const theirs = await packageVerdicts(points.map(([, bytes]) => bytes))
    for (const [index, [fault, bytes]] of points.entries()) {
      assert.ok('tensors' in theirs[index]!, `the package refuses it too: ${String(bytes)}`)
      assert.equal(ourVerdict(bytes).fault, fault)
    }
  })

  it('knows the same dtypes', async () => {
    const others = ['F8', 'I4', 'U4', 'F128', 'C128', 'F8_E4M3FN', 'BOOL8', 'E8M0', 'F6', 'BF8']
    const names = [...Object.keys(DTYPE_BITS), ...others]
    const files = names.map((name) => {
      const bytes = Object.hasOwn(DTYPE_BITS, name)
        ? DTYPE_BITS[name as keyof typeof DTYPE_BITS]
        : 8
      return safetensorsFile({ a: tensor(name, [8], 0, bytes) }, bytes)
    })
    const theirs = await packageVerdicts(files)
    const accepted = names.filter((_, index) => 'tensors' in theirs[index]!)
    assert.deepEqual(accepted, Object.keys(DTYPE_BITS))
    // The package lists what it knows when it is asked for anything else.
    const [verdict] = await packageVerdicts([safetensorsFile({ a: tensor('?', [0], 0, 0) })])
    assert.ok('error' in verdict!)
    const listed = /expected one of (.*?) at line/.exec(verdict.error)?.[1]?.match(/\w+/g) ?? []
    assert.deepEqual([...listed].sort(), Object.keys(DTYPE_BITS).sort())
  })
})

/** Every fault that a random file can have; `header_too_large` and `header_too_small` have tests of their own. */
const ALL_FAULTS: HeaderFault[] = [
  'header_length',
  'header_start',
  'encoding',
  'json',
  'duplicate_name',
  'dimension',
  'offset',
  'size',
  'alignment',
  'overflow',
  'data_length',
]
