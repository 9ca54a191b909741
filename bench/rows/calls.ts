/** Calls that compute nothing: what the way into Python costs. */

import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  EmbeddedRuntime,
  SubprocessRuntime,
  type PyInput,
  type WorkloadSession,
} from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { startLineChild } from '../line-child.js'
import { interleaved, medianOf } from '../measure.js'
import { canPlace, freeThreads, placeThreads } from '../placement.js'
import { measured, skipped, type Effort, type Group, type Row, type RowSpec } from '../row.js'
import { quietWorkload } from '../workload.js'

const hopPath = join(packageRoot(), 'build', 'bench', 'Release', 'torchbed_hop.node')

const CALL_HOP: RowSpec = {
  id: 'call-hop',
  title: 'no-op call, embedded / bare thread hop, threads on two cores',
  better: 'at most',
  limit: 1.3,
}
const CALL_HOP_ONE_CORE: RowSpec = {
  id: 'call-hop-one-core',
  title: 'no-op call, embedded / bare thread hop, threads on one core',
  better: 'at most',
  limit: 1.3,
}
const CALL_SUBPROCESS: RowSpec = {
  id: 'call-subprocess',
  title: 'no-op call, embedded / subprocess',
  better: 'at most',
  limit: 0.75,
}
const CALL_LOW_LATENCY: RowSpec = {
  id: 'call-low-latency',
  title: "no-op call, embedded with latency 'low' / subprocess",
  better: 'at most',
  limit: 0.15,
}
const SINGLE = [CALL_HOP, CALL_HOP_ONE_CORE, CALL_SUBPROCESS]
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

const NO_HOP = 'torchbed_hop.node is not compiled; npm run bench does it'

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
  rows: [...SINGLE, CALL_LOW_LATENCY, ...REFS.map(({ spec }) => spec), PIPELINED],
  async *run(effort) {
    await using embedded = await EmbeddedRuntime.start()
    await using subprocess = await SubprocessRuntime.start()
    const inside = await embedded.openWorkload(quietWorkload)
    const outside = await subprocess.openWorkload(quietWorkload)
    for (const session of [inside, outside]) await session.call('init_model', { device: 'cpu' })

    if (SINGLE.some(({ id }) => effort.wants(id))) yield* singleCalls(effort, inside, outside)
    if (effort.wants(CALL_LOW_LATENCY.id)) yield await lowLatency(effort)
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
  effort.begin(...SINGLE.map(({ id }) => id))
  const rounds = effort.quick ? 5 : 25
  const each = effort.quick ? 100 : 400
  const settings = { rounds, calls: each }
  const hop = loadHop()
  const placing = canPlace()
  const ways = {
    ...(hop && { hop: () => medianOf(hop, each) }),
    embedded: () => medianOf(() => evaluate(inside), each),
    subprocess: () => medianOf(() => evaluate(outside), each),
  }
  if (placing) placeThreads('two cores')
  const { hop: hopTook = NaN, ...apart } = await interleaved<string>(ways, rounds)
  const { embedded = NaN, subprocess = NaN } = apart
  yield hop === null
    ? skipped(CALL_HOP, NO_HOP)
    : measured(CALL_HOP, embedded / hopTook, { embedded_ms: embedded, hop_ms: hopTook }, settings)
  yield measured(
    CALL_SUBPROCESS,
    embedded / subprocess,
    { embedded_ms: embedded, subprocess_ms: subprocess },
    settings,
  )
  if (!effort.wants(CALL_HOP_ONE_CORE.id)) {
    freeThreads()
    return
  }
  if (hop === null || !placing) {
    yield skipped(CALL_HOP_ONE_CORE, hop === null ? NO_HOP : 'taskset and two cores are needed')
    return
  }
  placeThreads('one core')
  const together = await interleaved({ hop: ways.hop ?? hop, embedded: ways.embedded }, rounds)
  freeThreads()
  yield measured(
    CALL_HOP_ONE_CORE,
    together.embedded / together.hop,
    { embedded_ms: together.embedded, hop_ms: together.hop },
    settings,
  )
}

/**
 * Each way in a separate process: whether the scheduler keeps two threads on one core or wakes another
 * core for the second decides about microseconds, and the ways would decide it for each other.
 */
async function lowLatency(effort: Effort): Promise<Row> {
  effort.begin(CALL_LOW_LATENCY.id)
  const rounds = effort.quick ? 5 : 25
  const each = effort.quick ? 100 : 400
  const script = fileURLToPath(new URL('../children/calls.js', import.meta.url))
  const start = (way: string) => startLineChild(process.execPath, [script, way, String(each)])
  await using low = await start('low')
  await using normal = await start('normal')
  await using subprocess = await start('subprocess')
  const took = await interleaved(
    {
      low: () => low.measure(),
      normal: () => normal.measure(),
      subprocess: () => subprocess.measure(),
    },
    rounds,
  )
  return measured(
    CALL_LOW_LATENCY,
    took.low / took.subprocess,
    { low_ms: took.low, normal_ms: took.normal, subprocess_ms: took.subprocess },
    { rounds, calls: each },
  )
}

/** A call to a thread that does nothing (bench/native/hop.cc); null when it is not compiled. */
function loadHop(): (() => Promise<null>) | null {
  if (!existsSync(hopPath)) return null
  const addon = createRequire(import.meta.url)(hopPath) as { hop: () => Promise<null> }
  return addon.hop
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
