/** DiLoCo with models of torch: peers that see different data end with one model, which has learnt. */
import assert from 'node:assert/strict'
import {
  CODECS,
  DEFAULT_OUTER,
  localRounds,
  parametersOf,
  projectPeer,
} from '../../lib/diloco/index.js'
import { HookMissingError } from '../../lib/errors.js'
import { tensor, TorchProject, type ModelHandle } from '../../lib/index.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

for (const isolation of ['none', 'process'] as const) {
  ;(withTorch ? describe : describe.skip)(`DiLoCo with isolation ${isolation}`, () => {
    const open = (factory: string) =>
      TorchProject.open(
        { runtime: { workload_factory: factory, module_search_roots: [workloadRoot] } },
        { isolation },
      )

    it('trains four models that see different examples into one, with less than a tenth of the loss', async function () {
      this.timeout(120_000)
      const project = await open('regression:create_workload')
      try {
        const models: ModelHandle[] = []
        for (let index = 0; index < 4; index++) models.push(await project.initModel())
        const peers = models.map((model, index) =>
          projectPeer({
            peerId: `peer-${index}`,
            project,
            model,
            batches: (round) => [{ payload: 1 + index + 4 * round }],
          }),
        )
        /** Of one window on examples that no peer has seen, the mean before each of its steps. */
        const lossOf = async (theta: Float32Array) => {
          await using model = await project.initModel()
          await project.call(model, 'load_parameter_pack', tensor(theta))
          const { stats } = await project.trainWindow({ model, batches: [{ payload: 1_000_000 }] })
          return Number(stats.loss)
        }
        const initial = await parametersOf(project, models[0]!)
        assert.equal(initial.length, 8 * 16 + 16 + 16 + 1)
        let theta = initial
        const options = { codec: CODECS.int8, outer: DEFAULT_OUTER }
        for await (const round of localRounds(peers, initial, 20, options)) {
          assert.equal(round.divergent, 0)
          assert.equal(round.outcomes.filter(({ kept }) => kept).length, 4)
          theta = round.state.theta
        }
        const [before, after] = [await lossOf(initial), await lossOf(theta)]
        assert.ok(after < before / 10, `the loss went from ${before} to ${after}`)
      } finally {
        await project.close()
      }
    })

    it('says which hook a workload lacks', async () => {
      const project = await open('plain:create_workload')
      try {
        await using model = await project.initModel()
        await assert.rejects(parametersOf(project, model), (error) => {
          assert.ok(error instanceof HookMissingError)
          assert.match(error.message, /parameter_pack/)
          return true
        })
      } finally {
        await project.close()
      }
    })
  })
}
