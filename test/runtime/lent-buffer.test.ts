/** Memory lent for one call: never copied, never kept, never dangling. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import {
  AbortError,
  EmbeddedRuntime,
  LentBuffer,
  ValueError,
  type PyValue,
  type WorkloadSession,
} from '../../lib/index.js'
import { BuffersRetainedError } from '../../lib/errors.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

const bytes = (...values: number[]) => new Uint8Array(values)

describe('LentBuffer', () => {
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

  function probe(expression: string, value: unknown, signal?: AbortSignal): Promise<PyValue> {
    return session.call('probe', { expression, value: value as LentBuffer }, { signal })
  }

  /** Drops what a former call kept, and waits for the memory to come back. */
  async function letGo(lent: LentBuffer): Promise<void> {
    await probe('kept.clear() or __import__("gc").collect() * 0', null)
    for (let i = 0; i < 100 && lent.onLoan; i++) await sleep(5)
    assert.equal(lent.onLoan, false)
  }

  it('is read by Python without a copy', async () => {
    const lent = LentBuffer.copyOf(bytes(1, 2, 3))
    assert.deepEqual(await probe('bytes(value)', lent), bytes(1, 2, 3))
    assert.equal(await probe('len(value)', lent), 3n)
    assert.equal(
      await probe('type(value).__module__ + "." + type(value).__name__', lent),
      'torchbed.LentBuffer',
    )
  })

  it('that is transferred keeps its address and detaches the original', async () => {
    const original = bytes(4, 5, 6).buffer
    const lent = LentBuffer.transfer(original)
    assert.equal(original.byteLength, 0)
    assert.deepEqual(await probe('bytes(value)', lent), bytes(4, 5, 6))
    assert.deepEqual(new Uint8Array(lent.take()), bytes(4, 5, 6))
  })

  it('that is allocated is written by Python straight into the memory', async () => {
    const lent = LentBuffer.allocate(4)
    await probe('memoryview(value).__setitem__(slice(1, 3), b"ab") or 1', lent)
    assert.deepEqual(new Uint8Array(lent.take()), bytes(0, 97, 98, 0))
  })

  it('that was given for reading cannot be written', async () => {
    const lent = LentBuffer.copyOf(bytes(1))
    await assert.rejects(
      probe('memoryview(value).__setitem__(0, 2)', lent),
      /cannot modify read-only memory/,
    )
  })

  it('may be empty', async () => {
    assert.deepEqual(await probe('bytes(value)', LentBuffer.allocate(0)), bytes())
  })

  it('may be lent again and again, and several in one call', async () => {
    const lent = [LentBuffer.copyOf(bytes(1)), LentBuffer.allocate(1)]
    for (let i = 0; i < 50; i++) {
      await probe('memoryview(value[1]).__setitem__(0, value[0].__len__()) or 1', lent)
    }
    assert.deepEqual(new Uint8Array(lent[1]!.take()), bytes(1))
  })

  it('is refused while another call has it', async () => {
    const lent = LentBuffer.copyOf(bytes(1))
    const first = probe('sleep(0.1) or len(value)', lent)
    assert.throws(() => lent.take(), ValueError)
    await assert.rejects(probe('1', { inner: [lent] }), (error: ValueError) => {
      assert.match(error.message, /on loan to another call/)
      assert.equal(error.path, 'value.inner[0]')
      return true
    })
    assert.equal(await first, 1n)
    assert.equal(lent.onLoan, false)
  })

  it('is refused once it was taken', async () => {
    const lent = LentBuffer.copyOf(bytes(1))
    lent.take()
    assert.throws(() => lent.take(), ValueError)
    assert.throws(() => lent.byteLength, ValueError)
    await assert.rejects(probe('1', lent), /was taken/)
  })

  it('cannot be made of memory that cannot be transferred', () => {
    const pooled = Buffer.from('pooled').buffer
    const detached = new ArrayBuffer(1)
    structuredClone(detached, { transfer: [detached] })
    for (const buffer of [pooled, detached, new SharedArrayBuffer(1) as unknown as ArrayBuffer]) {
      assert.throws(() => LentBuffer.transfer(buffer), ValueError)
    }
  })

  it('cannot come back as a result', async () => {
    const lent = LentBuffer.copyOf(bytes(1))
    await assert.rejects(probe('value', lent), /LentBuffer cannot be passed to JavaScript/)
    assert.equal(lent.onLoan, false)
  })

  it('is given back when the call fails, is aborted, or is never made', async () => {
    const lent = LentBuffer.copyOf(bytes(1))
    await assert.rejects(probe('1 / 0', lent))
    assert.equal(lent.onLoan, false)

    await assert.rejects(
      probe('[0 for _ in iter(int, 1)]', lent, AbortSignal.timeout(50)),
      AbortError,
    )
    assert.equal(lent.onLoan, false)

    const running = probe('sleep(0.1)', null)
    await assert.rejects(probe('1', lent, AbortSignal.timeout(10)), AbortError)
    await running
    assert.equal(lent.onLoan, false)

    await assert.rejects(probe('1', { lent, bad: () => 1 }), ValueError)
    await sleep(5)
    assert.equal(lent.onLoan, false)
  })

  describe('that Python keeps', () => {
    const ways: [string, string][] = [
      ['itself', 'kept.append(value) or 1'],
      ['as a memoryview', 'kept.append(memoryview(value)) or 1'],
      ['as a slice of a memoryview', 'kept.append(memoryview(value)[2:3]) or 1'],
      ['in a thread that outlives the call', 'thread_keeps(value)'],
      ['in an exception with its frame', 'exception_keeps(value)'],
    ]
    const torchWays: [string, string][] = [
      [
        'as a numpy array',
        'kept.append(__import__("numpy").frombuffer(value, dtype="uint8")) or 1',
      ],
      ['as a tensor', 'kept.append(tensor(value)) or 1'],
      ['as a slice of a tensor', 'kept.append(tensor(value)[1:2]) or 1'],
      ['as a numpy view of a tensor', 'kept.append(tensor(value).numpy()) or 1'],
      ['as a tensor over a numpy array', 'kept.append(tensor_over_array(value)) or 1'],
    ]
    for (const [how, expression] of [...ways, ...torchWays]) {
      const test = torchWays.some(([other]) => other === how) && !withTorch ? it.skip : it
      test(`${how} makes the call a typed error, and comes back when Python lets go`, async () => {
        const lent = LentBuffer.copyOf(bytes(10, 11, 12, 13))
        await assert.rejects(probe(expression, lent), (error: unknown) => {
          assert.ok(error instanceof BuffersRetainedError, String(error))
          assert.match(error.message, /clone what must be kept/)
          return true
        })
        assert.equal(lent.onLoan, true)
        assert.throws(() => lent.take(), ValueError)
        globalThis.gc?.()
        // The memory is alive and unchanged as long as Python can see it.
        assert.deepEqual(await probe('seen()', null), [...lent_bytes(how)])
        await letGo(lent)
        assert.deepEqual(new Uint8Array(lent.take()), bytes(10, 11, 12, 13))
      })
    }

    it('in a cycle alone is collected and no error', async () => {
      const lent = LentBuffer.copyOf(bytes(1))
      assert.equal(await probe('cycle_keeps(value)', lent), 1n)
      assert.equal(lent.onLoan, false)
    })

    it('gives out no further views after the call', async () => {
      const lent = LentBuffer.copyOf(bytes(1))
      await assert.rejects(probe('kept.append(value) or 1', lent), BuffersRetainedError)
      await assert.rejects(probe('bytes(kept[0])', null), /lent for one call, which is over/)
      await letGo(lent)
    })

    it('survives the JavaScript handle, garbage collection and further calls', async () => {
      await (async () => {
        const lent = LentBuffer.copyOf(bytes(42, 43))
        await assert.rejects(
          probe('kept.append(memoryview(value)) or 1', lent),
          BuffersRetainedError,
        )
      })()
      for (let i = 0; i < 20; i++) {
        globalThis.gc?.()
        await probe('len(value)', LentBuffer.allocate(1 << 20))
      }
      assert.deepEqual(await probe('seen()', null), [42n, 43n])
      await probe('kept.clear()', null)
    })
  })

  it('is given back when its call is cancelled before it begins', async () => {
    const lent = LentBuffer.copyOf(bytes(1, 2))
    const abort = new AbortController()
    const running = probe('sleep(0.05)', null)
    const queued = probe('len(value)', lent, abort.signal)
    abort.abort()
    await assert.rejects(queued, AbortError)
    assert.deepEqual(new Uint8Array(lent.take()), bytes(1, 2))
    await running
  })

  it('is not held by the runtime after its call', async function () {
    const { gc } = globalThis
    if (gc === undefined) return this.skip()
    const lend = async () => {
      const lent = LentBuffer.allocate(1 << 20)
      await probe('len(value)', lent)
      return new WeakRef(lent)
    }
    const reference = await lend()
    for (let i = 0; i < 50 && reference.deref() !== undefined; i++) {
      await sleep(5)
      gc()
    }
    assert.equal(reference.deref(), undefined)
  })

  it('of a worker that is terminated in mid-call is not touched afterwards', async () => {
    const code = `
      import { EmbeddedRuntime, LentBuffer } from ${JSON.stringify(import.meta.resolve('../../lib/index.js'))}
      import { parentPort, workerData } from 'node:worker_threads'
      const runtime = await EmbeddedRuntime.start()
      const session = await runtime.openWorkload(workerData)
      session.call('probe', { expression: 'keep_writing(value)', value: LentBuffer.allocate(1 << 22) })
      parentPort.postMessage('lent')`
    const workerData = { factory: 'value_probe:create_workload', moduleSearchRoots: [workloadRoot] }
    const worker = new Worker(code, { eval: true, workerData, execArgv: ['--input-type=module'] })
    await once(worker, 'message')
    await sleep(30)
    await worker.terminate()
    assert.equal(await probe('1', null), 1n)
  })
})

/** What \`seen()\` finds in the kept view of 10, 11, 12, 13. */
function lent_bytes(how: string): bigint[] {
  if (how === 'as a slice of a memoryview') return [12n]
  if (how === 'as a slice of a tensor') return [11n]
  return how === 'itself' ? [] : [10n, 11n, 12n, 13n]
}
