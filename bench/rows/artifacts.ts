/** Weights into and out of a live model: lent memory against one memcpy, and against path hooks. */

import { join } from 'node:path'
import { EmbeddedRuntime, LentBuffer, type WorkloadSession } from '../../lib/index.js'
import { readWhole, timedThenRemoved, writeWhole } from '../files.js'
import { interleaved, medianOf } from '../measure.js'
import {
  largeMegabytes,
  measured,
  type Effort,
  type Group,
  type Row,
  type RowSpec,
} from '../row.js'
import { scratchFolder } from '../scratch.js'
import { benchWorkload } from '../workload.js'

/** Sizes in MB; the largest has the plain ids. */
const SIZES = [400, 100, 4] as const
const suffix = (size: number) => (size === 400 ? '' : `-${size}`)

const loadMemcpy = (size: number): RowSpec => ({
  id: `load-memcpy${suffix(size)}`,
  title: `load ${size} MB into a live model / one memcpy into touched memory`,
  better: 'at most',
  limit: 1.2,
  needs: ['torch'],
})
const materializeMemcpy = (size: number): RowSpec => ({
  id: `materialize-memcpy${suffix(size)}`,
  title: `materialise ${size} MB / one memcpy into fresh memory`,
  better: 'at most',
  limit: 1.5,
  needs: ['torch'],
})
const LOAD_FILES: RowSpec = {
  id: 'load-files',
  title: '400 MB in memory into a live model: file and path hook / lent memory',
  better: 'at least',
  limit: 5,
  needs: ['torch'],
}
const MATERIALIZE_FILES: RowSpec = {
  id: 'materialize-files',
  title: 'live model to 400 MB in memory: path hook and file / lent memory',
  better: 'at least',
  limit: 5,
  needs: ['torch'],
}

export const artifacts: Group = {
  name: 'artifacts',
  rows: [
    ...SIZES.flatMap((size) => [loadMemcpy(size), materializeMemcpy(size)]),
    LOAD_FILES,
    MATERIALIZE_FILES,
  ],
  async *run(effort) {
    await using runtime = await EmbeddedRuntime.start()
    for (const size of SIZES) {
      if (!effort.wants(loadMemcpy(size).id) && !effort.wants(materializeMemcpy(size).id)) continue
      yield* againstMemcpy(runtime, size, effort)
    }
    if (effort.wants(LOAD_FILES.id) || effort.wants(MATERIALIZE_FILES.id)) {
      yield* againstFiles(runtime, effort)
    }
  },
}

async function* againstMemcpy(
  runtime: EmbeddedRuntime,
  size: number,
  effort: Effort,
): AsyncIterable<Row> {
  effort.begin(loadMemcpy(size).id, materializeMemcpy(size).id)
  const megabytes = effort.quick ? Math.ceil(size / 12) : size
  const rounds = effort.quick ? 3 : 9
  // One small copy is over too soon for the clock and the scheduler.
  const times = size === 4 ? 20 : 1
  await using model = await openModel(runtime, megabytes, 'tensors')
  const artifact = LentBuffer.allocate(await plan(model))
  await fill(model, artifact)
  const source = new Uint8Array(artifact.byteLength).fill(1)
  const touched = new Uint8Array(artifact.byteLength).fill(2)
  const took = await interleaved(
    {
      memcpy: () => medianOf(() => touched.set(source), times),
      memcpyFresh: () => medianOf(() => new Uint8Array(source.byteLength).set(source), times),
      load: () => medianOf(() => load(model, artifact), times),
      materialize: () => medianOf(() => materialize(model), times),
    },
    rounds,
  )
  const settings = { megabytes, rounds, copies: times }
  yield measured(
    loadMemcpy(size),
    took.load / took.memcpy,
    { load_ms: took.load, memcpy_ms: took.memcpy },
    settings,
  )
  yield measured(
    materializeMemcpy(size),
    took.materialize / took.memcpyFresh,
    { materialize_ms: took.materialize, memcpy_ms: took.memcpyFresh },
    settings,
  )
}

/**
 * Both ways begin and end at the same places: bytes in this process's memory, and a live model. The
 * files are new ones that are not synced; to remove them costs further time, which is not counted.
 */
async function* againstFiles(runtime: EmbeddedRuntime, effort: Effort): AsyncIterable<Row> {
  effort.begin(LOAD_FILES.id, MATERIALIZE_FILES.id)
  const megabytes = largeMegabytes(effort)
  const rounds = effort.quick ? 3 : 7
  await using lent = await openModel(runtime, megabytes, 'tensors')
  await using files = await openModel(runtime, megabytes, 'path')
  await using scratch = await scratchFolder()
  const ready = join(scratch.path, 'ready.safetensors')
  const fresh = join(scratch.path, 'fresh.safetensors')
  let bytes = (await materialize(lent)).take()
  await writeWhole(ready, new Uint8Array(bytes))
  const loadPath = (path: string) =>
    files.call('load_model_artifact', { model_id: 'm1', artifact_path: path })
  const savePath = (path: string) =>
    files.call('materialize_model_artifact', { model_id: 'm1', artifact_path: path })
  const took = await interleaved(
    {
      load: async () => {
        const artifact = LentBuffer.transfer(bytes)
        await load(lent, artifact)
        bytes = artifact.take()
      },
      loadFiles: () =>
        timedThenRemoved(fresh, async () => {
          await writeWhole(fresh, new Uint8Array(bytes))
          await loadPath(fresh)
        }),
      loadHook: () => loadPath(ready),
      materialize: async () => (await materialize(lent)).take(),
      materializeFiles: () =>
        timedThenRemoved(fresh, async () => {
          await savePath(fresh)
          await readWhole(fresh)
        }),
      materializeHook: () => timedThenRemoved(fresh, () => savePath(fresh)),
    },
    rounds,
  )
  const settings = { megabytes, rounds }
  yield measured(
    LOAD_FILES,
    took.loadFiles / took.load,
    { file_ms: took.loadFiles, lent_ms: took.load, hook_alone_ms: took.loadHook },
    settings,
  )
  yield measured(
    MATERIALIZE_FILES,
    took.materializeFiles / took.materialize,
    {
      file_ms: took.materializeFiles,
      lent_ms: took.materialize,
      hook_alone_ms: took.materializeHook,
    },
    settings,
  )
}

async function openModel(
  runtime: EmbeddedRuntime,
  megabytes: number,
  hooks: 'tensors' | 'path',
): Promise<WorkloadSession> {
  const session = await runtime.openWorkload(benchWorkload({ megabytes, hooks }))
  await session.call('init_model', { device: 'cpu' })
  return session
}

const model_id = 'm1'

async function plan(session: WorkloadSession): Promise<number> {
  const answer = await session.call('plan_model_memory', { model_id })
  return Number((answer as { total_bytes: bigint }).total_bytes)
}

const fill = (session: WorkloadSession, artifact: LentBuffer) =>
  session.call('fill_model_memory', { model_id, artifact })

const load = (session: WorkloadSession, artifact: LentBuffer) =>
  session.call('load_model_memory', { model_id, artifact })

/** The model in memory that nobody has touched before. */
async function materialize(session: WorkloadSession): Promise<LentBuffer> {
  const artifact = LentBuffer.allocate(await plan(session))
  await fill(session, artifact)
  return artifact
}
