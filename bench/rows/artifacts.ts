/** Weights into and out of a live model, against one memcpy and against files. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EmbeddedRuntime, LentBuffer } from '../../lib/index.js'
import { interleaved } from '../measure.js'
import { row, type Group } from '../row.js'
import { benchWorkload } from '../workload.js'

export const artifacts: Group = {
  name: 'artifacts',
  ids: ['load-memcpy', 'materialize-memcpy', 'load-files', 'materialize-files'],
  async *run({ quick }) {
    const megabytes = quick ? 32 : 400
    const rounds = quick ? 3 : 7
    await using runtime = await EmbeddedRuntime.start()
    const tensors = await runtime.openWorkload(benchWorkload({ megabytes, hooks: 'tensors' }))
    const files = await runtime.openWorkload(benchWorkload({ megabytes, hooks: 'path' }))
    for (const session of [tensors, files]) await session.call('init_model', { device: 'cpu' })

    const folder = await mkdtemp(join(tmpdir(), 'torchbed-bench-'))
    try {
      const path = join(folder, 'artifact.safetensors')
      const model_id = 'm1'
      const plan = async () => {
        const answer = await tensors.call('plan_model_memory', { model_id })
        return Number((answer as { total_bytes: bigint }).total_bytes)
      }
      const artifact = LentBuffer.allocate(await plan())
      await tensors.call('fill_model_memory', { model_id, artifact })
      await files.call('materialize_model_artifact', { model_id, artifact_path: path })

      const source = new Uint8Array(artifact.byteLength).fill(1)
      const touched = new Uint8Array(artifact.byteLength).fill(2)
      const times = await interleaved(
        {
          memcpy: () => touched.set(source),
          memcpyFresh: () => new Uint8Array(source.byteLength).set(source),
          load: () => tensors.call('load_model_memory', { model_id, artifact }),
          materialize: async () => {
            const fresh = LentBuffer.allocate(await plan())
            await tensors.call('fill_model_memory', { model_id, artifact: fresh })
          },
          loadFile: () => files.call('load_model_artifact', { model_id, artifact_path: path }),
          materializeFile: () =>
            files.call('materialize_model_artifact', { model_id, artifact_path: path }),
        },
        rounds,
      )
      const size = `${megabytes} MB`
      yield row(
        'load-memcpy',
        `load ${size} into a live model / one memcpy into touched memory`,
        times.load / times.memcpy,
        'at most',
        1.2,
        { load_ms: times.load, memcpy_ms: times.memcpy },
      )
      yield row(
        'materialize-memcpy',
        `materialise ${size} / one memcpy into fresh memory`,
        times.materialize / times.memcpyFresh,
        'at most',
        1.5,
        { materialize_ms: times.materialize, memcpy_ms: times.memcpyFresh },
      )
      yield row(
        'load-files',
        `load ${size}, path hook through a cached file / lent memory`,
        times.loadFile / times.load,
        'at least',
        5,
        { file_ms: times.loadFile, lent_ms: times.load },
      )
      yield row(
        'materialize-files',
        `materialise ${size}, path hook to a file / lent memory`,
        times.materializeFile / times.materialize,
        'at least',
        5,
        { file_ms: times.materializeFile, lent_ms: times.materialize },
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}
