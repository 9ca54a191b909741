/** Any order of lending, keeping, dropping, taking and collecting ends in the documented state. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { BuffersRetainedError } from '../../lib/errors.js'
import { LentBuffer, ValueError } from '../../lib/index.js'
import { back, useLending } from '../support/lending.js'
import { withTorch } from '../support/workloads.js'

const SLOTS = 3
const ways = [
  'view',
  'generator',
  'exception',
  ...(withTorch ? ['array', 'tensor', 'tensor_over_array', 'graph'] : []),
]

type Step =
  | { readonly do: 'lend' | 'write' | 'drop' | 'take' | 'forget' | 'both'; readonly slot: number }
  | { readonly do: 'keep'; readonly slot: number; readonly way: string }
  | { readonly do: 'collect' }

const slot = fc.nat(SLOTS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('lend', 'write', 'both'), slot }),
  fc.record({ do: fc.constantFrom('drop', 'take', 'forget'), slot }),
  fc.record({ do: fc.constant('keep' as const), slot, way: fc.constantFrom(...ways) }),
  fc.record({ do: fc.constant('collect' as const) }),
)

/** What one LentBuffer should be. */
interface Model {
  /** Null once JavaScript has forgotten it. */
  lent: LentBuffer | null
  bytes: Uint8Array
  state: 'free' | 'kept' | 'taken'
}

describe('A LentBuffer, in any order of events,', () => {
  const { lend: call } = useLending({ settled: true })

  function fresh(index: number): Model {
    const bytes = new Uint8Array(Float32Array.of(index + 1, 2, 3, 4).buffer)
    const lent = LentBuffer.allocate(bytes.length)
    lent.bytes().set(bytes)
    return { lent, bytes, state: 'free' }
  }

  /** A call that may work only while the buffer is free. */
  async function whileFree(model: Model, work: (lent: LentBuffer) => Promise<void>): Promise<void> {
    if (model.lent === null) return
    if (model.state === 'free') return work(model.lent)
    await assert.rejects(call('1', model.lent), ValueError)
  }

  async function act(models: Model[], action: Step): Promise<void> {
    if (action.do === 'collect') {
      globalThis.gc?.()
      await call('gc.collect() * 0')
      return
    }
    const name = `slot${action.slot}`
    const model = models[action.slot]!
    switch (action.do) {
      case 'lend':
        return whileFree(model, async (lent) => {
          assert.deepEqual(await call('bytes(value)', lent), model.bytes)
        })
      case 'write':
        return whileFree(model, async (lent) => {
          const number = new Uint8Array(Float32Array.of(model.bytes.length + action.slot).buffer)
          model.bytes = Uint8Array.from([...number, ...model.bytes.subarray(4)])
          await call('memoryview(value["lent"]).__setitem__(slice(0, 4), value["number"]) or 1', {
            lent,
            number,
          })
        })
      case 'both': {
        const other = models[(action.slot + 1) % SLOTS]!
        if (other.lent === null || other.state !== 'free') return
        const otherLent = other.lent
        return whileFree(model, async (lent) => {
          const seen = await call('[bytes(each) for each in value]', [lent, otherLent])
          assert.deepEqual(seen, [model.bytes, other.bytes])
        })
      }
      case 'keep':
        return whileFree(model, async (lent) => {
          const keeping = call(`keep("${action.way}", value, "${name}")`, lent)
          await assert.rejects(keeping, BuffersRetainedError)
          model.state = 'kept'
        })
      case 'drop':
        await call(`drop("${name}")`)
        if (model.state !== 'kept') return
        model.state = 'free'
        if (model.lent === null) models[action.slot] = fresh(action.slot)
        else await back(model.lent)
        return
      case 'take':
        if (model.lent === null) return
        if (model.state === 'free') {
          assert.deepEqual(new Uint8Array(model.lent.take()), model.bytes)
          model.state = 'taken'
        } else {
          assert.throws(() => model.lent?.take(), ValueError)
        }
        return
      case 'forget':
        if (model.state === 'kept') model.lent = null
        else models[action.slot] = fresh(action.slot)
    }
  }

  /** What holds after every step. */
  async function check(models: Model[]): Promise<void> {
    for (const [index, model] of models.entries()) {
      if (model.lent !== null) assert.equal(model.lent.onLoan, model.state === 'kept')
      if (model.state === 'kept') assert.deepEqual(await call(`read("slot${index}")`), model.bytes)
    }
  }

  it('never has wrong bytes, and always ends in the documented state', async function () {
    this.timeout(240_000)
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const models = Array.from({ length: SLOTS }, (_, index) => fresh(index))
        for (const action of steps) {
          await act(models, action)
          await check(models)
        }
        for (let index = 0; index < SLOTS; index++) await act(models, { do: 'drop', slot: index })
        await check(models)
        for (const model of models) {
          if (model.state === 'free') {
            assert.deepEqual(new Uint8Array(model.lent!.take()), model.bytes)
          }
        }
      }),
      { numRuns: 40 },
    )
  })
})
