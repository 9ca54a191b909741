/** Calls that compute nothing: what the way into Python costs. */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import {
  EmbeddedRuntime,
  SubprocessRuntime,
  type PyInput,
  type WorkloadSession,
} from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { interleaved, medianOf } from '../measure.js'
import { CannotRun, measured, type Effort, type Group, type Row, type RowSpec } from '../row.js'
import { quietWorkload } from '../workload.js'

const hopPath = join(packageRoot(), 'build', 'bench', 'Release', 'torchbed_hop.node')

const CALL_HOP: RowSpec = {
  id: 'call-hop',
  title: 'no-op call, embedded / bare thread hop',
  better: 'at most',
  limit: 1.3,
}
const CALL_SUBPROCESS: RowSpec = {
  id: 'call-subprocess',
  title: 'no-op call, embedded / subprocess',
  better: 'at most',
  limit: 0.75,
}
const REFS = [
  { count: 1, limit: 0.75 },
  { count: 100, limit: 0.75 },
  { count: 10_000, limit: 0.5 },
].map(({ count, limit }) => ({
  count,
  spec: {
    id: `refs-${count}`,
    title: `call with ${count} batch refs, embedded / subprocess`,
    better: 'at most',
    limit,
  } satisfies RowSpec,
}))
const PIPELINED: RowSpec = {
  id: 'pipelined',
  title: 'pipelined calls a second, embedded / subprocess',
  better: 'at least',
  limit: 5,
}

/** Calls that are in flight at once in `pipelined`. */
const BURST = 1000

/** References to so many batches, each of one shard file, as a lease's window carries them. */
export function batchRefs(count: number): PyInput {
  return Array.from({ length: count }, (_, i) => ({
    kind: 'cached_microshard_group',
    shard_paths: [`/data/view/${String(i).padStart(5, '0')}.bin`],
    microshard_ids: [`1220${String(i).padStart(64, '0')}`],
    ordinals: [i],
    bytes_len: 65_536,
  }))
}

/** A call that does nothing: a hook that returns an empty dict. */
export function evaluate(session: WorkloadSession): Promise<unknown> {
  return session.call('evaluate', { model_id: 'm1', split: 'Test' })
}

export const calls: Group = {
  name: 'calls',
  rows: [CALL_HOP, CALL_SUBPROCESS, ...REFS.map(({ spec }) => spec), PIPELINED],
  async *run(effort) {
    await using embedded = await EmbeddedRuntime.start()
    await using subprocess = await SubprocessRuntime.start()
    const inside = await embedded.openWorkload(quietWorkload)
    const outside = await subprocess.openWorkload(quietWorkload)
    for (const session of [inside, outside]) await session.call('init_model', { device: 'cpu' })

    if (effort.wants(CALL_HOP.id) || effort.wants(CALL_SUBPROCESS.id)) {
      yield* singleCalls(effort, inside, outside)
    }
    for (const { count, spec } of REFS) {
      if (!effort.wants(spec.id)) continue
      effort.begin(spec.id)
      const params = { model_id: 'm1', batches: batchRefs(count) }
      const times = count === 10_000 ? 1 : 50
      const rounds = effort.quick ? 3 : 11
      const train = (session: WorkloadSession) => session.call('train_window', params)
      const took = await interleaved(
        {
          embedded: () => medianOf(() => train(inside), times),
          subprocess: () => medianOf(() => train(outside), times),
        },
        rounds,
      )
      const medians = { embedded_ms: took.embedded, subprocess_ms: took.subprocess }
      yield measured(spec, took.embedded / took.subprocess, medians, { rounds, calls: times })
    }
    if (effort.wants(PIPELINED.id)) yield await pipelined(effort, inside, outside)
  },
}

async function* singleCalls(
  effort: Effort,
  inside: WorkloadSession,
  outside: WorkloadSession,
): AsyncIterable<Row> {
  effort.begin(CALL_HOP.id, CALL_SUBPROCESS.id)
  if (effort.wants(CALL_HOP.id) && !existsSync(hopPath)) {
    throw new CannotRun('torchbed_hop.node is not compiled; npm run bench does it')
  }
  const rounds = effort.quick ? 5 : 25
  const each = effort.quick ? 100 : 400
  const settings = { rounds, calls: each }
  const embedded = () => medianOf(() => evaluate(inside), each)
  const subprocess = () => medianOf(() => evaluate(outside), each)
  if (!effort.wants(CALL_HOP.id)) {
    const took = await interleaved({ embedded, subprocess }, rounds)
    yield callSubprocess(took, settings)
    return
  }
  const { hop } = createRequire(import.meta.url)(hopPath) as { hop: () => Promise<null> }
  const took = await interleaved({ hop: () => medianOf(hop, each), embedded, subprocess }, rounds)
  const medians = { embedded_ms: took.embedded, hop_ms: took.hop }
  yield measured(CALL_HOP, took.embedded / took.hop, medians, settings)
  yield callSubprocess(took, settings)
}

function callSubprocess(
  took: { embedded: number; subprocess: number },
  settings: Row['settings'],
): Row {
  const medians = { embedded_ms: took.embedded, subprocess_ms: took.subprocess }
  return measured(CALL_SUBPROCESS, took.embedded / took.subprocess, medians, settings)
}

async function pipelined(
  effort: Effort,
  inside: WorkloadSession,
  outside: WorkloadSession,
): Promise<Row> {
  effort.begin(PIPELINED.id)
  const rounds = effort.quick ? 3 : 11
  const burst = async (session: WorkloadSession) => {
    await Promise.all(Array.from({ length: BURST }, () => evaluate(session)))
  }
  const took = await interleaved(
    { embedded: () => burst(inside), subprocess: () => burst(outside) },
    rounds,
  )
  const perSecond = (milliseconds: number) => (BURST * 1000) / milliseconds
  const medians = {
    embedded_calls_per_s: perSecond(took.embedded),
    subprocess_calls_per_s: perSecond(took.subprocess),
  }
  return measured(PIPELINED, took.subprocess / took.embedded, medians, { rounds, calls: BURST })
}
