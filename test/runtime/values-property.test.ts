/** Any value that may cross, there and back: what the table of docs/reference/values.md says of its parts holds for the whole. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { EmbeddedRuntime, PyFloat, type PyInput, type WorkloadSession } from '../../lib/index.js'
import { workloadRoot } from '../support/workloads.js'
import { runs } from '../support/runs.js'

let runtime: EmbeddedRuntime
let session: WorkloadSession

before(async () => {
  runtime = await EmbeddedRuntime.start()
  session = await runtime.openWorkload({
    factory: 'value_probe:create_workload',
    moduleSearchRoots: [workloadRoot],
  })
})
after(() => runtime.close())

const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme-ascii', maxLength: 3000, size: 'max' }),
  // Units on their own: lone surrogates too.
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
)

const key = fc.oneof(
  text,
  fc.maxSafeInteger(),
  fc.bigInt({ max: 2n ** 200n, min: -(2n ** 200n) }),
  fc.boolean(),
  fc.constant(null),
  fc.double(),
)

const bytes = fc.oneof(
  fc.uint8Array(),
  fc.uint8Array({ minLength: 2 }).map((array) => array.subarray(1)),
  fc.uint8Array().map((array) => Buffer.from(array)),
)

const anyValue = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, undefined, true, false, 0, -0, 2 ** 31, -(2 ** 31), 2 ** 32, 2 ** 53),
    fc.maxSafeInteger(),
    fc.double(),
    fc.double().map((float) => new PyFloat(float)),
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
    fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
    text,
    bytes,
    fc.date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-12-31') }),
    fc.array(tie('value')),
    fc.dictionary(text, tie('value')),
    fc.array(fc.tuple(key, tie('value')), { minLength: 1 }).map((pairs) => new Map(pairs)),
  ),
})).value

describe('any value that may cross', () => {
  it('comes back as what the table says', async function () {
    this.timeout(600_000)
    await fc.assert(
      fc.asyncProperty(anyValue, async (sent) => {
        const expected = afterBothWays(sent)
        if (expected === refused) {
          await assert.rejects(probe(sent), { code: 'ERR_VALUE' })
        } else {
          assert.deepEqual(await probe(sent), expected)
        }
      }),
      { numRuns: runs(1000) },
    )
  })
})

function probe(value: unknown) {
  return session.call('probe', { expression: 'value[0]', value: [value as PyInput] })
}

const refused = Symbol('refused')

/** The two columns of the table, applied one after the other. */
function afterBothWays(value: unknown): unknown {
  if (value === undefined || value === null) return null
  if (typeof value === 'number') {
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? BigInt(value) : value
  }
  if (value instanceof PyFloat) return value.value
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z')
  if (value instanceof Uint8Array) return new Uint8Array(value)
  if (Array.isArray(value)) return anyRefused(value.map(afterBothWays))
  if (value instanceof Map) return mapBothWays(value)
  if (typeof value !== 'object') return value
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return asObject(entries.map(([name, item]) => [name, afterBothWays(item)]))
}

function mapBothWays(map: ReadonlyMap<unknown, unknown>): unknown {
  const pairs = [...map].map(([name, item]) => [afterBothWays(name), afterBothWays(item)] as const)
  if (pairs.some(([, item]) => item === refused)) return refused
  // Python's equality of keys: 1, 1.0 and True are one.
  const names = pairs.map(([name]) => {
    if (typeof name === 'boolean') return Number(name)
    return typeof name === 'bigint' && BigInt(Number(name)) === name ? Number(name) : name
  })
  if (new Set(names).size < names.length) return refused
  const isObject = pairs.every(([name]) => typeof name === 'string')
  return isObject ? asObject(pairs as [string, unknown][]) : new Map(pairs)
}

function asObject(entries: readonly (readonly [string, unknown])[]): unknown {
  const object = {}
  for (const [name, value] of entries) {
    if (value === refused) return refused
    // Defined, not set: __proto__ is a key like any other.
    const field = { value, enumerable: true, writable: true, configurable: true }
    Object.defineProperty(object, name, field)
  }
  return object
}

function anyRefused(items: readonly unknown[]): unknown {
  return items.includes(refused) ? refused : items
}
