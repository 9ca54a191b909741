/** Memory that native threads work on: what is refused, and that the event loop goes on. */
import assert from 'node:assert/strict'
import { Worker } from 'node:worker_threads'
import {
  CODECS,
  contribute,
  initialOuterState,
  NumericsMemoryError,
  outerStep,
  stateRoot,
  type OuterOptimizer,
} from '../../lib/diloco/index.js'
import { heavy, hex } from './support.js'

const refused = (why: RegExp) => (error: unknown) =>
  error instanceof NumericsMemoryError && why.test(error.message)

describe('memory lent to the native arithmetic', () => {
  const { int8, fp32 } = CODECS

  it('is refused when it is shared, resizable or transferred away', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(40))
    await assert.rejects(int8.encode(shared), refused(/values: its memory is shared/))
    const Resizable = ArrayBuffer as new (size: number, options: object) => ArrayBuffer
    const resizable = new Float32Array(new Resizable(40, { maxByteLength: 80 }))
    await assert.rejects(int8.encode(resizable), refused(/values: its memory is resizable/))
    const detached = new Float32Array(10)
    structuredClone(detached.buffer, { transfer: [detached.buffer] })
    await assert.rejects(stateRoot(detached), refused(/array 0: its memory was transferred away/))
  })

  it('is refused when what is written overlaps with something else', async () => {
    const both = new Float32Array(20)
    const state = { theta: both.subarray(0, 10), m: null, v: null, steps: 0 }
    const into = { theta: both.subarray(5, 15), m: null, v: null }
    const sgd: OuterOptimizer = { kind: 'sgd', lr: 1 }
    const step = outerStep(sgd, state, new Float32Array(10), into)
    await assert.rejects(step, refused(/into\.theta: it overlaps with theta/))
  })

  it('is refused when vectors have different lengths', async () => {
    const vector = (n: number) => new Float32Array(n)
    const given = { codec: int8, base: vector(10), local: vector(9), owed: null }
    await assert.rejects(contribute(given), refused(/local has 9 elements, and 10 are needed/))
    const short = int8.encode(vector(10), new Uint8Array(3))
    await assert.rejects(short, refused(/into has 3 elements/))
    const outer: OuterOptimizer = { kind: 'adamw', lr: 1 }
    const state = initialOuterState(outer, vector(10))
    await assert.rejects(outerStep(outer, state, vector(11)), refused(/g has 11 elements/))
  })

  it('may be a part of a larger buffer, at any offset for bytes', async () => {
    const x = heavy(1, 1000)
    const wide = new Float32Array(1010)
    wide.set(x, 3)
    const into = new Uint8Array(5000).subarray(1, 1 + fp32.encodedLength(1000))
    await fp32.encode(wide.subarray(3, 1003), into)
    assert.equal(hex(into), hex(x))
    assert.equal(hex(await fp32.decode(into, 1000)), hex(x))
  })

  it('stays alive while threads work on it, though nothing else holds it', async () => {
    const x = heavy(1, 100_000)
    const expected = await stateRoot(x)
    const roots = Array.from({ length: 20 }, () => stateRoot(x.slice()))
    for (let i = 0; i < 5; i++) globalThis.gc!()
    assert.deepEqual(new Set(await Promise.all(roots)), new Set([expected]))
  })

  it('leaves the event loop free while threads work', async () => {
    const x = new Float32Array(20_000_000).fill(1)
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await stateRoot(x)
    clearInterval(timer)
    assert.ok(turns > 0)
  })

  it('may belong to a worker thread that is ended in the middle', async () => {
    const url = new URL('../../lib/diloco/index.js', import.meta.url).href
    const program = `
      import(${JSON.stringify(url)}).then(({ stateRoot }) => {
        const x = new Float32Array(8_000_000)
        for (let i = 0; i < 4; i++) void stateRoot(x)
        require('node:worker_threads').parentPort.postMessage('busy')
      })`
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(program, { eval: true })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      assert.equal(await worker.terminate(), 1)
    }
    assert.equal(await stateRoot(new Float32Array(1)), await stateRoot(new Float32Array(1)))
  })
})
