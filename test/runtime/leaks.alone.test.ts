/** A cut of the search for leaks that `npm run test:long` runs whole, and how it judges. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EmbeddedRuntime, TorchProject } from '../../lib/index.js'
import { ASSUMED_MODEL_BYTES, MAX_DECLARED_BYTES } from '../../lib/project/model-handle.js'
import { workloadRoot } from '../support/workloads.js'
import { runItem } from '../long/soak/item.js'
import { sizing } from '../long/soak/sizing.js'
import { ITEMS, lineOf, problemsOf, type ItemName, type Measurement } from '../long/soak/items.js'

const linux = process.platform === 'linux' ? describe : describe.skip

/** How often each is repeated here, after its warm-up. */
const CUT: Readonly<Record<ItemName, number>> = {
  calls: 20_000,
  handles: 2000,
  lent: 200,
  exceptions: 100,
  restarts: 10,
  pressure: 200,
}

linux('what is done over and over', () => {
  for (const [item, count] of Object.entries(CUT) as [ItemName, number][]) {
    it(`leaves nothing behind: ${ITEMS[item].what}`, async () => {
      const measurement = await runItem(item, count)
      assert.equal(measurement.count, count)
      assert.deepEqual(problemsOf(measurement), [], JSON.stringify(measurement))
    })
  }

  it('is not charged with freed memory that the C library keeps for later', async () => {
    // Two blocks that end at the top of a thread's heap: too few for glibc to shrink it.
    const measurement = await runItem('pressure', 2)
    assert.deepEqual(problemsOf(measurement), [], JSON.stringify(measurement))
  })
})

describe('what V8 is told of a model', () => {
  async function told(bytes: number) {
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-sizes-'))
    await using runtime = await EmbeddedRuntime.start()
    let sum = 0
    const sizes: number[] = []
    const note = () => void sizes.push(sum)
    const config = {
      runtime: {
        workload_factory: 'plain:create_large',
        workload_config: { bytes },
        module_search_roots: [workloadRoot],
      },
    }
    try {
      await using project = await TorchProject.open(config, {
        runtime: sizing(runtime, (more) => (sum += more)),
      })
      const first = await project.initModel()
      note()
      await project.materializeModelArtifactFile(first, join(folder, 'artifact'))
      note()
      const second = await project.initModel()
      note()
      await first.release()
      await first.release()
      note()
      await project.close()
      await second.release()
      note()
    } finally {
      await rm(folder, { recursive: true })
    }
    return sizes
  }

  it('is a guess, then the size of its artifact, then nothing', async () => {
    assert.deepEqual(await told(1000), [ASSUMED_MODEL_BYTES, 1000, 2000, 1000, 0])
  })

  it('is no more than what makes it begin a collection', async () => {
    const most = MAX_DECLARED_BYTES
    assert.deepEqual(await told(most + 1), [ASSUMED_MODEL_BYTES, most, 2 * most, most, 0])
  })
})

describe('the judge of what is done over and over', () => {
  const memory = { anonymous: 30e6, resident: 80e6, trimmed: 0, heapUsed: 6e6, arrayBuffers: 0 }
  const none = { models: 0, lentBuffers: 0, lentBytes: 0, queued: 0, sessions: 0, references: 0 }
  const fine: Measurement = {
    ...{ item: 'pressure', count: 10, warmUpCount: 2, seconds: 1, mostModels: 64 },
    ...{ before: memory, warm: memory, end: memory, growthBytes: 5 * 2 ** 20 - 1 },
    left: { ...none, files: 0, children: 0 },
  }

  it('has nothing to say when all is well', () => {
    assert.deepEqual(problemsOf(fine), [])
    assert.match(
      lineOf(fine),
      /^10 models of 8 MiB .*, growth 5\.00 MiB, at most 64 models, 1\.0 s$/,
    )
  })

  it('sees growth, models that pile up, and everything that is left', () => {
    const left = { ...fine.left, models: 1, references: 2, children: 3 }
    assert.deepEqual(problemsOf({ ...fine, growthBytes: 5 * 2 ** 20, mostModels: 65, left }), [
      '1 models are left',
      '2 references are left',
      '3 children are left',
      'memory grew by 5.00 MiB, not by less than 5 MiB',
      '65 models piled up, more than 64',
    ])
  })
})
