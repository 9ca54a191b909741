/** Hooks of a workload's own: values and tensors there and back, in both runtimes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { z } from 'zod'
import { BuffersRetainedError, HookMissingError } from '../../lib/errors.js'
import {
  ConfigError,
  HookRaisedError,
  LentBuffer,
  Tensor,
  tensor,
  TorchProject,
  ValueError,
  type TensorData,
  type TensorDtype,
} from '../../lib/index.js'
import { runs } from '../support/runs.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

/** Each dtype with the bytes of an element, and the typed array that a result has. */
const DTYPES: readonly (readonly [TensorDtype, number, new (memory: ArrayBuffer) => TensorData])[] =
  [
    ['bool', 1, Uint8Array],
    ['uint8', 1, Uint8Array],
    ['int8', 1, Int8Array],
    ['uint16', 2, Uint16Array],
    ['int16', 2, Int16Array],
    ['uint32', 4, Uint32Array],
    ['int32', 4, Int32Array],
    ['uint64', 8, BigUint64Array],
    ['int64', 8, BigInt64Array],
    ['float8_e4m3fn', 1, Uint8Array],
    ['float8_e4m3fnuz', 1, Uint8Array],
    ['float8_e5m2', 1, Uint8Array],
    ['float8_e5m2fnuz', 1, Uint8Array],
    ['float8_e8m0fnu', 1, Uint8Array],
    ['float16', 2, Uint16Array],
    ['bfloat16', 2, Uint16Array],
    ['float32', 4, Float32Array],
    ['float64', 8, Float64Array],
    ['complex32', 4, Uint16Array],
    ['complex64', 8, Float32Array],
    ['complex128', 16, Float64Array],
  ]

const shapes = fc.array(fc.nat(4), { maxLength: 4 })

const anyTensor = fc
  .tuple(fc.constantFrom(...DTYPES), shapes)
  .chain(([[dtype, size, array], shape]) => {
    const length = shape.reduce((product, item) => product * item, size)
    const max = dtype === 'bool' ? 1 : 255
    return fc
      .uint8Array({ minLength: length, maxLength: length, max })
      .map((bytes) => new Tensor(dtype, shape, new array(Uint8Array.from(bytes).buffer)))
  })

const anyTree = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    fc.double({ noInteger: true }),
    fc.string(),
    fc.uint8Array(),
    anyTensor,
    anyTensor,
    fc.array(tie('value')),
    fc.dictionary(fc.string(), tie('value'), { noNullPrototype: true }),
  ),
})).value

for (const isolation of ['none', 'process'] as const) {
  ;(withTorch ? describe : describe.skip)(`project.call with isolation ${isolation}`, () => {
    let project: TorchProject
    before(async () => {
      const runtime = {
        workload_factory: 'hooked:create_workload',
        module_search_roots: [workloadRoot],
      }
      project = await TorchProject.open({ runtime }, { isolation })
    })
    after(() => project.close())

    it('gives a hook a tensor and a model, and JavaScript the tensor that comes back', async () => {
      await using model = await project.initModel()
      const x = tensor(Float32Array.of(1, 2, 3, 4), [2, 2])
      const { y, shape } = await project.call<{ x: Tensor }, { y: Tensor; shape: bigint[] }>(
        model,
        'predict',
        { x },
      )
      assert.deepEqual(y, tensor(Float32Array.of(2, 4, 6, 8), [2, 2]))
      assert.deepEqual(shape, [2n, 2n])
      assert.deepEqual([...x.data], [1, 2, 3, 4], 'what was passed is still there')
    })

    it('trains on payloads alone', async () => {
      await using model = await project.initModel()
      const batches = [{ payload: { return: "{'examples': batch['payload']['n'] * 2}", n: 21 } }]
      const { stats } = await project.trainWindow({ model, batches })
      assert.equal(stats.examples, 42n)
    })

    it('calls without a model and without an input', async () => {
      assert.equal(await project.call(null, 'decorated'), 7n)
      await using model = await project.initModel()
      assert.deepEqual(await project.call(model, 'state_of'), { device: 'python-plain', steps: 0n })
    })

    it('shows a hook the elements of each dtype, without dimensions and empty too', async () => {
      const seen = async (given: Tensor) => project.call(null, 'describe', given)
      assert.deepEqual(await seen(tensor(Float64Array.of(0.5), [])), {
        dtype: 'torch.float64',
        shape: [],
        items: 0.5,
      })
      assert.deepEqual(await seen(tensor(new Int32Array(0), [2, 0])), {
        dtype: 'torch.int32',
        shape: [2n, 0n],
        items: [[], []],
      })
      assert.deepEqual(await seen(new Tensor('bfloat16', [1], Uint16Array.of(0x3fc0))), {
        dtype: 'torch.bfloat16',
        shape: [1n],
        items: [1.5],
      })
    })

    it('brings any tree of values and tensors back as it was', async function () {
      this.timeout(300_000)
      await fc.assert(
        fc.asyncProperty(anyTree, async (tree) => {
          assert.deepEqual(await project.call(null, 'echo', tree), tree)
        }),
        { numRuns: runs(100) },
      )
    })

    it('takes values and memory that are not rows, or hold gradients', async () => {
      const odd = (kind: string) => project.call<string, Tensor<Float32Array>>(null, 'odd', kind)
      const transposed = await odd('transposed')
      assert.deepEqual(transposed.shape, [3, 2])
      assert.deepEqual([...transposed.data], [0, 3, 1, 4, 2, 5])
      assert.deepEqual([...(await odd('strided')).data], [0, 2, 3, 5])
      assert.deepEqual([...(await odd('grad')).data], [0, 1, 2, 3, 4, 5])
      assert.deepEqual([...(await odd('conjugate')).data], [1, -2])
      assert.deepEqual([...(await odd('expanded')).data], [1, 1, 1, 1])
    })

    it('fills large tensors into memory of their own', async () => {
      const [halves, { n }] = await project.call<
        string,
        [Tensor<Float32Array>, { n: Tensor<BigInt64Array> }]
      >(null, 'odd', 'large')
      assert.ok(halves.data.length === 100_000 && halves.data.every((item) => item === 1.5))
      assert.ok(n.data.length === 50_000 && n.data.every((item, index) => item === BigInt(index)))
      const large = tensor(new Float32Array(50_000).fill(3))
      assert.deepEqual(await project.call(null, 'echo', large), large)
    })

    it('refuses what the workload does not offer, with the way to offer it', async () => {
      for (const hook of ['hidden', 'init_model', '__init__', 'nothing', '']) {
        await assert.rejects(project.call(null, hook, 1), (error) => {
          assert.ok(error instanceof HookMissingError)
          assert.match(error.message, /callable_hooks/)
          return true
        })
      }
    })

    it('names the hook, and no step of the call, when it ends early', async () => {
      const gone = await project.initModel()
      await gone.release()
      await assert.rejects(project.call(gone, 'predict', {}), /^\w+: Cannot call predict: model/)
      const signal = AbortSignal.abort()
      await assert.rejects(project.call(null, 'echo', 1, { signal }), /echo was aborted/)
      await assert.rejects(project.call(null, 'fail', 1), /rpc fail failed: .*no prediction today/)
    })

    it('says where in a value something cannot cross', async () => {
      await assert.rejects(project.call(null, 'echo', { a: [{ f: () => 1 }] }), (error) => {
        assert.ok(error instanceof ValueError)
        assert.match(error.path, /input\.a\[0\]\.f$/)
        return true
      })
      await assert.rejects(project.call(null, 'odd', 'sparse'), /output\.a\[0\]/)
      await assert.rejects(project.call(null, 'odd', 'object'), /output\.a\[0\]/)
      await assert.rejects(
        project.call(null, 'echo', { x: new Tensor('bool', [1], Uint8Array.of(2)) }),
        /input\.x has bytes other than 0 and 1/,
      )
      const circular: unknown[] = []
      circular.push(circular)
      await assert.rejects(project.call(null, 'echo', circular), /contains itself/)
      await assert.rejects(project.call(null, 'fail', 1), HookRaisedError)
    })

    it('checks both sides by schemas where they are given', async () => {
      const input = z.object({ k: z.int().default(3) })
      const output = z.object({ k: z.bigint() })
      assert.deepEqual(await project.call(null, 'echo', {}, { input, output }), { k: 3n })
      await assert.rejects(project.call(null, 'echo', { k: 'x' as never }, { input }), (error) => {
        assert.ok(error instanceof ConfigError)
        assert.equal(error.issues[0]?.path, 'input.k')
        return true
      })
      await assert.rejects(project.call(null, 'echo', { k: 'x' }, { output }), ConfigError)
    })
  })
}

;(withTorch ? describe : describe.skip)('project.call in this process', () => {
  let project: TorchProject
  before(async () => {
    const runtime = {
      workload_factory: 'hooked:create_workload',
      module_search_roots: [workloadRoot],
    }
    project = await TorchProject.open({ runtime })
  })
  after(() => project.close())

  it('lends the memory of a LentBuffer without a copy, and gives it back', async () => {
    const memory = LentBuffer.allocate(8)
    new Float32Array(memory.bytes().buffer).set([1, 2])
    const answer = await project.call(null, 'describe', new Tensor('float32', [2], memory))
    assert.deepEqual(answer, { dtype: 'torch.float32', shape: [2n], items: [1, 2] })
    assert.deepEqual([...new Float32Array(memory.take())], [1, 2])
  })

  it('refuses a hook that keeps a tensor of its input', async () => {
    const kept = tensor(Float32Array.of(1, 2))
    await assert.rejects(project.call(null, 'keep', { kept }), BuffersRetainedError)
    await project.call(null, 'keep').catch(() => undefined)
  })
})

describe('a tensor', () => {
  it('is refused when its parts disagree', () => {
    const bad = (make: () => unknown, path: string) =>
      assert.throws(make, (error) => error instanceof ValueError && error.path === path)
    bad(() => new Tensor('float31' as TensorDtype, [1], Float32Array.of(1)), 'dtype')
    bad(() => tensor(Float32Array.of(1, 2), [3]), 'data')
    bad(() => tensor(Float32Array.of(1), [1, -1]), 'shape[1]')
    bad(() => tensor(Float32Array.of(1), [0.5]), 'shape[0]')
    bad(() => new Tensor('float32', [1], new ArrayBuffer(4) as never), 'data')
    const gone = Float32Array.of(1, 2)
    structuredClone(gone.buffer, { transfer: [gone.buffer] })
    bad(() => tensor(gone, [2]), 'data')
  })
})
