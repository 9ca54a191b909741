/** How long urgent calls wait for a window that trains, in steps of that window. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { tensor, TorchProject, type Tensor } from '../../lib/index.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

const STEPS = 100

/** Of nine calls in ten; leaves room for what else a shared machine does. */
const MOST_STEPS = 3

for (const isolation of ['none', 'process'] as const) {
  ;(withTorch ? describe : describe.skip)(`inference in training, isolation ${isolation}`, () => {
    it('waits for a step and not for a window', async () => {
      const runtime = {
        workload_factory: 'training_steps:create_workload',
        module_search_roots: [workloadRoot],
        workload_config: { minibatch: 512 },
      }
      await using project = await TorchProject.open({ runtime }, { isolation })
      await using model = await project.initModel()
      const x = tensor(new Float32Array(64), [1, 64])
      const predict = async (): Promise<void> => {
        const { shape } = await project.call<Tensor, Tensor>(model, 'predict', x, { urgent: true })
        assert.deepEqual(shape, [1, 64])
      }
      const window = () =>
        project.trainWindow({ model, batches: [{ payload: { steps: STEPS } }] }, {})
      await window()
      await predict()

      let began = performance.now()
      await window()
      const stepMs = (performance.now() - began) / STEPS

      const over = new AbortController()
      began = performance.now()
      const trained = window().finally(() => over.abort())
      const waits: number[] = []
      for (let index = 0; !over.signal.aborted; index++) {
        // Not in step with the steps.
        await sleep(1 + (index % 7))
        const asked = performance.now()
        await predict()
        waits.push(performance.now() - asked)
      }
      const { stats } = await trained
      const slowdown = (performance.now() - began) / (stepMs * STEPS)
      waits.sort((a, b) => a - b)
      const quantile = (share: number) => waits[Math.floor(waits.length * share)] ?? Infinity
      const [p50, p90, p99] = [quantile(0.5), quantile(0.9), quantile(0.99)]
      const facts =
        `${waits.length} calls in ${STEPS} steps of ${stepMs.toFixed(1)} ms: p50 ${(p50 / stepMs).toFixed(2)} and ` +
        `p99 ${(p99 / stepMs).toFixed(2)} steps; the window took ${slowdown.toFixed(2)} times as long`
      if (process.env.TORCHBED_SHOW !== undefined) console.log(facts)
      assert.equal(stats.examples_processed, BigInt(STEPS * 512))
      assert.ok(waits.length >= 20, facts)
      assert.ok(p90 <= MOST_STEPS * stepMs, facts)
    })
  })
}
