/** A model that is longer than a typed array of Node.js 20 may be. `TORCHBED_TEST_LARGE=1` runs it, with 12 GiB of memory free. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { freemem, tmpdir } from 'node:os'
import { join } from 'node:path'

import { TorchProject } from '../../lib/index.js'
import { FsArtifactStore } from '../../lib/store/index.js'
import { withTorch, workloadRoot } from '../support/workloads.js'

const ELEMENTS = Math.ceil(4.1 * 2 ** 30)

const isLarge = process.env.TORCHBED_TEST_LARGE === '1' && freemem() > 12 * 2 ** 30

;(withTorch && isLarge ? describe : describe.skip)('a model of 4.1 GiB with tensor hooks', () => {
  it('goes to the store and back', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-large-'))
    try {
      const store = new FsArtifactStore(folder, { durability: 'none' })
      await using project = await TorchProject.open({
        runtime: {
          workload_factory: 'sparse:create_workload',
          module_search_roots: [workloadRoot],
          workload_config: { elements: ELEMENTS },
        },
        model_schema_hash: 'sparse',
      })
      await using model = await project.initModel()
      const spec = { kind: 'FullHead', head_id: 'head-1' } as const
      const descriptor = await project.materializeModelArtifact(model, spec, store)
      assert.ok(descriptor.bytes_len > ELEMENTS)
      await project.trainWindow({ model, batches: [] })
      assert.equal((await project.evaluate(model, 'Test')).metrics.last, 0n)
      await project.loadModelArtifact(model, descriptor, store)
      const { metrics } = await project.evaluate(model, 'Test')
      assert.deepEqual(metrics, { last: 7n, elements: BigInt(ELEMENTS) })
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }).timeout(600_000)
})
