/** Lent memory that Python keeps: each way is seen, none leaves a dangling pointer, all come back. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { AbortError, LentBuffer, ValueError } from '../../lib/index.js'
import { BuffersRetainedError } from '../../lib/errors.js'
import { back, useLending } from '../support/lending.js'
import { withTorch } from '../support/workloads.js'

const torchIt = withTorch ? it : it.skip

/** 16 bytes: four numbers that survive a round through float32 arithmetic. */
const pattern = new Uint8Array(Float32Array.of(1.5, -2, 3e10, 4).buffer)

describe('Lent memory that Python keeps', () => {
  const { lend } = useLending({ settled: true })

  /** Fills what V8 and the C library have freed with other bytes. */
  function disturb(): void {
    globalThis.gc?.()
    for (let i = 0; i < 200; i++) new Uint8Array(pattern.length).fill(0xdd)
    globalThis.gc?.()
  }

  const slice = pattern.subarray(4, 8)
  const ways: [title: string, way: string, seen: Uint8Array, needsTorch?: true][] = [
    ['in a suspended generator', 'generator', pattern],
    ['in a coroutine that is not awaited to its end', 'coroutine', pattern],
    ['in a closure over the LentBuffer itself', 'itself', new Uint8Array()],
    ['in an exception, in a frame below the one that caught it', 'exception', pattern],
    ['in a thread that alone holds it', 'thread', pattern],
    ['as a numpy array over a memoryview', 'array_over_view', pattern, true],
    ['as a slice of a structured numpy array', 'structured_array', slice, true],
    ['as a tensor over a memoryview', 'tensor_over_memoryview', pattern, true],
    ['as a strided slice of a tensor of another dtype', 'slice_of_tensor', slice, true],
    ['as the storage of a tensor', 'storage', pattern, true],
    ['as a tensor that came through DLPack', 'capsule', pattern, true],
    ['as a tensor in a global of a module', 'global_of_module', pattern, true],
    ['as a parameter of a torch module', 'module', pattern, true],
    ['in the graph of a loss that waits for its backward pass', 'graph', pattern, true],
  ]
  for (const [title, way, seen, needsTorch] of ways) {
    const test = needsTorch ? torchIt : it
    test(`${title} is a typed error, stays valid, cannot be lent or taken, and comes back`, async () => {
      const lent = LentBuffer.copyOf(pattern)
      await assert.rejects(lend(`keep("${way}", value)`, lent), (error: unknown) => {
        assert.ok(error instanceof BuffersRetainedError, String(error))
        assert.match(error.message, /kept 1 buffer .*clone what must be kept/)
        return true
      })
      for (let round = 0; round < 3; round++) {
        disturb()
        assert.deepEqual(await lend('read()'), seen)
        assert.equal(lent.onLoan, true)
        assert.throws(() => lent.take(), /a call has it, or Python kept it/)
        assert.throws(() => lent.bytes(), ValueError)
        await assert.rejects(lend('1', lent), /on loan to another call, or kept by Python/)
      }
      await lend('drop()')
      await back(lent)
      assert.deepEqual(await lend('bytes(value)', lent), pattern)
      assert.deepEqual(new Uint8Array(lent.take()), pattern)
    })
  }

  it('by a thread comes back when the thread ends, without another call', async () => {
    const lent = LentBuffer.copyOf(pattern)
    await assert.rejects(lend('keep_for_a_while(value)', lent), BuffersRetainedError)
    assert.equal(lent.onLoan, true)
    await back(lent)
    assert.deepEqual(new Uint8Array(lent.take()), pattern)
  })

  torchIt('as a tensor in a cycle that nothing else refers to is no error', async () => {
    const lent = LentBuffer.copyOf(pattern)
    assert.equal(await lend('cycle_of_tensor(value)', lent), 1n)
    assert.deepEqual(new Uint8Array(lent.take()), pattern)
  })

  torchIt('as a clone is no error', async () => {
    const lent = LentBuffer.copyOf(pattern)
    const expression =
      'kept.update(it=_bytes_of(__import__("torch").frombuffer(value, ' +
      'dtype=__import__("torch").uint8).clone())) or 1'
    assert.equal(await lend(expression, lent), 1n)
    new Uint8Array(lent.take()).fill(0)
    assert.deepEqual(await lend('read()'), pattern)
    await lend('drop()')
  })

  it('by a hook that raises as well is the error that is reported', async () => {
    const lent = LentBuffer.copyOf(pattern)
    await assert.rejects(lend('keep("raised", value)', lent), BuffersRetainedError)
    assert.deepEqual(await lend('read()'), pattern)
    await lend('drop()')
    await back(lent)
  })

  it('by a hook that was aborted is an abort, and on loan all the same', async () => {
    const lent = LentBuffer.copyOf(pattern)
    const aborted = lend('keep_for_ever(value)', lent, AbortSignal.timeout(100))
    await assert.rejects(aborted, AbortError)
    assert.equal(lent.onLoan, true)
    disturb()
    assert.deepEqual(await lend('read("it")'), pattern)
    await lend('drop()')
    await back(lent)
  })

  it('of several in one call is counted, and the others come back', async () => {
    const lent = Array.from({ length: 5 }, () => LentBuffer.copyOf(pattern))
    const keep = 'keep("view", value[1], "a") + keep("view", value[3], "b")'
    await assert.rejects(lend(keep, lent), /kept 2 buffers that were lent/)
    assert.deepEqual(
      lent.map(({ onLoan }) => onLoan),
      [false, true, false, true, false],
    )
    await lend('drop("a")')
    await back(lent[1]!)
    assert.equal(lent[3]!.onLoan, true)
    await lend('drop("b")')
    await back(lent[3]!)
  })

  it('and writes to later is seen by JavaScript once it is back', async () => {
    const lent = LentBuffer.allocate(4)
    const keep = 'kept.update(view=memoryview(value)) or 1'
    await assert.rejects(lend(keep, lent), BuffersRetainedError)
    disturb()
    await lend('kept["view"].__setitem__(slice(0, 4), b"late") or 1')
    await lend('drop("view")')
    await back(lent)
    assert.equal(Buffer.from(lent.take()).toString(), 'late')
  })

  it('outlives the LentBuffer in JavaScript, and is freed when Python drops it', async () => {
    const held = await keptByPythonAlone()
    for (let i = 0; i < 10; i++) {
      disturb()
      await sleep(1)
      assert.deepEqual(await lend('read()'), pattern)
    }
    assert.notEqual(held.deref(), undefined)
    await lend('drop()')
    for (let i = 0; i < 100 && held.deref() !== undefined; i++) {
      await sleep(5)
      globalThis.gc?.()
    }
    assert.equal(held.deref(), undefined)
  })

  /** Lends memory that Python keeps, and leaves JavaScript no strong reference to it. */
  async function keptByPythonAlone(): Promise<WeakRef<LentBuffer>> {
    const lent = LentBuffer.copyOf(pattern)
    await assert.rejects(lend('keep("view", value)', lent), BuffersRetainedError)
    return new WeakRef(lent)
  }

  it('does not pile up: what was dropped is freed', async () => {
    const size = 1 << 20
    const used = () => {
      globalThis.gc?.()
      return process.memoryUsage().arrayBuffers
    }
    const before = used()
    for (let i = 0; i < 20; i++) {
      await assert.rejects(lend('keep("view", value)', LentBuffer.allocate(size)))
    }
    await lend('drop()')
    for (let i = 0; i < 100 && used() > before + 2 * size; i++) await sleep(5)
    assert.ok(used() <= before + 2 * size, `${used() - before} bytes are left`)
  })
})
