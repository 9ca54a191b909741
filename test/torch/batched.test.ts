/** Many calls of a hook at once as one: shares, failures and those who leave, in both runtimes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { z } from 'zod'
import {
  AbortError,
  ConfigError,
  DeadlineError,
  HookRaisedError,
  LentBuffer,
  Tensor,
  tensor,
  TorchProject,
  ValueError,
  type BatchOptions,
} from '../../lib/index.js'
import { ProtocolError } from '../../lib/errors.js'
import { runs } from '../support/runs.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

interface Item {
  readonly x: Tensor
  readonly name: string
}
interface Share {
  readonly y: Tensor
  readonly names: string
  readonly note: null
}

for (const isolation of ['none', 'process'] as const) {
  ;(withTorch ? describe : describe.skip)(`project.batched with isolation ${isolation}`, () => {
    let project: TorchProject
    before(async () => {
      const runtime = {
        workload_factory: 'hooked:create_workload',
        module_search_roots: [workloadRoot],
      }
      project = await TorchProject.open({ runtime }, { isolation })
    })
    after(() => project.close())
    beforeEach(() => log())

    const log = () => project.call<undefined, string[]>(null, 'log')
    const doubled = (options?: BatchOptions<Item, Share>) =>
      project.batched<Item, Share>(null, 'double_each', options)
    const item = (name: string, ...numbers: number[]): Item => ({
      x: tensor(Float32Array.from(numbers)),
      name,
    })

    it('makes one call of many, and gives each caller its share', async () => {
      const call = doubled()
      const shares = await Promise.all([1, 2, 3].map((n) => call(item(`n${n}`, n, 10 * n))))
      assert.deepEqual(
        shares,
        [1, 2, 3].map((n) => ({
          y: tensor(Float32Array.of(2 * n, 20 * n)),
          names: `n${n}`,
          note: null,
        })),
      )
      assert.deepEqual(await log(), ['batch of 3'])
    })

    it('sends a full batch at once, and what is left when its turn is over', async () => {
      const call = doubled({ maxBatch: 4 })
      await Promise.all(Array.from({ length: 10 }, (_, index) => call(item('a', index))))
      assert.deepEqual((await log()).sort(), ['batch of 2', 'batch of 4', 'batch of 4'])
    })

    it('waits for more calls as long as it was told', async () => {
      const call = doubled({ maxWaitMs: 200 })
      const first = call(item('first', 1))
      await new Promise((resolve) => setTimeout(resolve, 20))
      await Promise.all([first, call(item('second', 2))])
      assert.deepEqual(await log(), ['batch of 2'])
    })

    it('gathers calls while a batch runs', async () => {
      const call = doubled()
      const slow = call(item('slow', 1))
      await new Promise((resolve) => setTimeout(resolve, 50))
      const more: Promise<Share>[] = []
      for (let index = 0; index < 3; index++) {
        more.push(call(item('a', index)))
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await Promise.all([slow, ...more])
      assert.deepEqual(await log(), ['batch of 1', 'batch of 3'])
    })

    it('puts inputs of other shapes into batches of their own', async () => {
      const call = doubled()
      const inputs = [item('a', 1), item('b', 1, 2), item('c', 3)]
      const shares = await Promise.all(inputs.map((input) => call(input)))
      assert.deepEqual(
        shares.map(({ y }) => [...y.data]),
        [[2], [2, 4], [6]],
      )
      assert.deepEqual((await log()).sort(), ['batch of 1', 'batch of 2'])
    })

    it('gives a model and bare tensors, and takes a LentBuffer', async () => {
      await using model = await project.initModel()
      const call = project.batched<Tensor | Tensor<LentBuffer>, bigint>(model, 'sizes')
      const lent = LentBuffer.allocate(8)
      const inputs = [tensor(Float32Array.of(1, 2)), new Tensor('float32', [2], lent)]
      assert.deepEqual(await Promise.all(inputs.map((input) => call(input))), [2n, 2n])
      assert.equal(lent.take().byteLength, 8)
    })

    it('fails alone the items that the hook names', async () => {
      const call = doubled()
      const settled = await Promise.allSettled(
        ['good', 'bad one', 'fine', 'bad two'].map((name) => call(item(name, 1))),
      )
      assert.deepEqual(
        settled.map(({ status }) => status),
        ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
      )
      const error: unknown = (settled[1] as PromiseRejectedResult).reason
      assert.ok(error instanceof HookRaisedError)
      assert.equal(error.pythonType, 'ValueError')
      assert.match(error.message, /double_each failed: ValueError: bad one is too long/)
    })

    it('fails all calls of a batch whose hook raises, and of one with too few entries', async () => {
      const call = doubled()
      for (const [name, type] of [
        ['all', HookRaisedError],
        ['short', ProtocolError],
      ] as const) {
        const settled = await Promise.allSettled([call(item(name, 1)), call(item('other', 1))])
        for (const one of settled) {
          assert.equal(one.status, 'rejected')
          assert.ok(one.reason instanceof type, String(one.reason))
        }
      }
    })

    it('lets a caller leave before and while its batch runs, and the others stay', async () => {
      const call = doubled()
      const early = new AbortController()
      const late = new AbortController()
      const first = call(item('never sent', 1), { signal: early.signal })
      const second = call(item('slow', 2), { signal: late.signal })
      const third = call(item('c', 3))
      const hurried = call(item('d', 4), { timeoutMs: 50 })
      early.abort(new Error('enough'))
      setTimeout(() => late.abort(), 50)
      await Promise.all([
        assert.rejects(
          first,
          (error) => error instanceof AbortError && String(error.cause).includes('enough'),
        ),
        assert.rejects(second, AbortError),
        assert.rejects(hurried, DeadlineError),
      ])
      assert.deepEqual([...(await third).y.data], [6])
      assert.deepEqual(await log(), ['batch of 3'])
    })

    it('ends the hook when all callers have left', async () => {
      const call = doubled()
      const began = performance.now()
      await assert.rejects(call(item('slow', 1), { timeoutMs: 20 }), DeadlineError)
      await log()
      assert.ok(performance.now() - began < 190, 'the hook was left to sleep')
    })

    it('refuses options and inputs that are none, and checks both sides by schemas', async () => {
      assert.throws(() => doubled({ maxBatch: 0 }), ValueError)
      assert.throws(() => doubled({ maxWaitMs: -1 }), ValueError)
      const circular: Record<string, unknown> = {}
      circular.self = circular
      const call = project.batched<unknown>(null, 'double_each')
      await assert.rejects(call(circular), ValueError)
      const checked = project.batched(null, 'double_each', {
        input: z.object({ x: z.instanceof(Tensor), name: z.string() }),
        output: z.object({ y: z.instanceof(Tensor) }),
      })
      assert.deepEqual(Object.keys(await checked(item('a', 1))), ['y'])
      await assert.rejects(checked({ x: 1 } as never), ConfigError)
    })

    it('gives each of any tensors back as echo does alone', async () => {
      const echo = project.batched<unknown, unknown>(null, 'echo')
      const tensors = fc.array(
        fc
          .array(fc.nat(3), { maxLength: 3 })
          .chain((shape) =>
            fc
              .uint8Array({ minLength: product(shape) * 2, maxLength: product(shape) * 2 })
              .map((bytes) => new Tensor('bfloat16', shape, new Uint16Array(bytes.slice().buffer))),
          ),
        { minLength: 1, maxLength: 8 },
      )
      await fc.assert(
        fc.asyncProperty(tensors, async (inputs) => {
          const shares = await Promise.all(inputs.map((x) => echo({ deep: { x } })))
          assert.deepEqual(
            shares,
            inputs.map((x) => ({ deep: { x } })),
          )
        }),
        { numRuns: runs(30) },
      )
    })
  })
}

function product(shape: readonly number[]): number {
  return shape.reduce((sum, size) => sum * size, 1)
}
