/** Calls that compute nothing: what the way into Python costs. */

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
import { row, type Group } from '../row.js'
import { benchWorkload } from '../workload.js'

const hopPath = join(packageRoot(), 'build', 'bench', 'Release', 'torchbed_hop.node')

function batchRefs(count: number): PyInput {
  return Array.from({ length: count }, (_, i) => ({
    kind: 'cached_microshard_group',
    shard_paths: [`/data/view/${String(i).padStart(5, '0')}.bin`],
    microshard_ids: [`1220${String(i).padStart(64, '0')}`],
    ordinals: [i],
    bytes_len: 65_536,
  }))
}

export const calls: Group = {
  name: 'calls',
  ids: ['call-hop', 'call-subprocess', 'refs-1', 'refs-100', 'refs-10000', 'pipelined'],
  async *run({ quick }) {
    const { hop } = createRequire(import.meta.url)(hopPath) as { hop: () => Promise<null> }
    await using embedded = await EmbeddedRuntime.start()
    await using subprocess = await SubprocessRuntime.start()
    const inside = await embedded.openWorkload(benchWorkload({}))
    const outside = await subprocess.openWorkload(benchWorkload({}))
    for (const session of [inside, outside]) await session.call('init_model', { device: 'cpu' })

    const rounds = quick ? 5 : 25
    const each = quick ? 100 : 400
    const evaluate = (session: WorkloadSession) =>
      session.call('evaluate', { model_id: 'm1', split: 'Test' })
    const single = await interleaved(
      {
        hop: () => medianOf(hop, each),
        embedded: () => medianOf(() => evaluate(inside), each),
        subprocess: () => medianOf(() => evaluate(outside), each),
      },
      rounds,
    )
    yield row(
      'call-hop',
      'no-op call, embedded / bare thread hop',
      single.embedded / single.hop,
      'at most',
      1.3,
      { embedded_ms: single.embedded, hop_ms: single.hop },
    )
    yield row(
      'call-subprocess',
      'no-op call, embedded / subprocess',
      single.embedded / single.subprocess,
      'at most',
      0.75,
      { embedded_ms: single.embedded, subprocess_ms: single.subprocess },
    )

    for (const count of [1, 100, 10_000]) {
      const params = { model_id: 'm1', batches: batchRefs(count) }
      const times = count === 10_000 ? 1 : 50
      const train = (session: WorkloadSession) => session.call('train_window', params)
      const { a, b } = await interleaved(
        {
          a: () => medianOf(() => train(inside), times),
          b: () => medianOf(() => train(outside), times),
        },
        quick ? 3 : 11,
      )
      yield row(
        `refs-${count}`,
        `call with ${count} batch refs, embedded / subprocess`,
        a / b,
        'at most',
        count === 10_000 ? 0.5 : 0.75,
        { embedded_ms: a, subprocess_ms: b },
      )
    }

    const burst = async (session: WorkloadSession) => {
      await Promise.all(Array.from({ length: 1000 }, () => evaluate(session)))
    }
    const { a, b } = await interleaved(
      { a: () => burst(inside), b: () => burst(outside) },
      quick ? 3 : 11,
    )
    yield row(
      'pipelined',
      'pipelined calls a second, embedded / subprocess',
      b / a,
      'at least',
      5,
      {
        embedded_calls_per_s: 1e6 / a,
        subprocess_calls_per_s: 1e6 / b,
      },
    )
  },
}
