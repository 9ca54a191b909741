/** Calls and streams that fail, ten thousand times: what they leave behind. Alone, as it measures memory. */
import assert from 'node:assert/strict'
import { Tensor, tensor, TorchProject } from '../../lib/index.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

const ROUNDS = 1000

/** Growth that is noise, in bytes: each call passes 16 KiB, so that keeping one in ten would show. */
const NOISE_BYTES = 16e6

for (const isolation of ['none', 'process'] as const) {
  ;(withTorch ? describe : describe.skip)(`failing calls with isolation ${isolation}`, () => {
    let project: TorchProject
    before(async () => {
      const runtime = {
        workload_factory: 'hooked:create_workload',
        module_search_roots: [workloadRoot],
      }
      project = await TorchProject.open({ runtime }, { isolation })
    })
    after(() => project.close())

    it('leave memory flat, whatever they fail at', async function () {
      this.timeout(300_000)
      const x = tensor(new Float32Array(4096))
      const released = await project.initModel()
      await released.release()
      const bool = new Tensor('bool', [4096], new Uint8Array(4096).fill(2))
      const fail: readonly (() => Promise<unknown>)[] = [
        () => project.call(null, 'fail', { x }),
        () => project.call(null, 'hidden', { x }),
        () => project.call(null, 'echo', { x, f: () => 1 }),
        () => project.call(null, 'echo', { x, bool }),
        () => project.call(null, 'odd', 'sparse'),
        () => project.call(null, 'odd', 'object'),
        () => project.call(released, 'predict', { x }),
        () => project.call(null, 'echo', { x }, { signal: AbortSignal.abort() }),
        () => project.stream(null, 'count', { x, to: 9, fail: 0 }).next(),
        () => project.stream(null, 'decorated').next(),
      ]
      const round = async () => {
        for (const call of fail) await assert.rejects(call())
      }
      for (let warmUp = 0; warmUp < ROUNDS / 4; warmUp++) await round()
      const before = await measured(project)
      for (let count = 0; count < ROUNDS; count++) await round()
      const after = await measured(project)
      const growth = Object.fromEntries(
        Object.entries(after).map(([name, value]) => [
          name,
          value - before[name as keyof Measured],
        ]),
      )
      const text = JSON.stringify(growth)
      assert.ok(after.heapUsed - before.heapUsed < 2e6, text)
      assert.ok(after.arrayBuffers - before.arrayBuffers < 2e6, text)
      assert.ok(after.resident - before.resident < NOISE_BYTES, text)
      assert.ok(after.pythonResident - before.pythonResident < NOISE_BYTES, text)
      assert.ok(after.pythonObjects - before.pythonObjects < 500, text)
      assert.deepEqual([after.streams, after.results], [0, 0], text)
    })
  })
}

interface Measured {
  readonly heapUsed: number
  readonly arrayBuffers: number
  readonly resident: number
  readonly pythonResident: number
  readonly pythonObjects: number
  readonly streams: number
  readonly results: number
}

async function measured(project: TorchProject): Promise<Measured> {
  const python = await project.call<undefined, Record<'objects' | 'resident', bigint>>(
    null,
    'memory',
  )
  // Twice, with a turn between: what a finalizer lets go of is collected the second time.
  for (let times = 0; times < 2; times++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage()
  const counts = await project.call<undefined, Record<'streams' | 'results', bigint>>(
    null,
    'left_behind',
  )
  return {
    heapUsed,
    arrayBuffers,
    resident: rss,
    pythonResident: Number(python.resident),
    pythonObjects: Number(python.objects),
    streams: Number(counts.streams),
    results: Number(counts.results),
  }
}
