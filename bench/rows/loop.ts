/** How long the event loop waits while Python trains and artifacts are stored and loaded. */

import { runChild } from '../child.js'
import { median } from '../measure.js'
import { largeMegabytes, measured, type Group, type RowSpec } from '../row.js'
import { scratchFolder } from '../scratch.js'

const P99: RowSpec = {
  id: 'loop-p99',
  title: 'event-loop delay p99 while training, publishing and loading 400 MB, beyond idle',
  better: 'at most',
  limit: 5,
  unit: 'ms',
  needs: ['torch'],
}
const MAX: RowSpec = {
  id: 'loop-max',
  title: 'longest event-loop delay while training, publishing and loading 400 MB',
  better: 'at most',
  limit: 50,
  unit: 'ms',
  needs: ['torch'],
}

interface Delay {
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly seconds: number
}

/** What bench/children/loop-delay.ts prints. */
interface LoopDelays {
  readonly idle: Delay
  readonly busy: Delay
  readonly windows: number
  readonly publishes: number
  readonly loads: number
}

export const loop: Group = {
  name: 'loop',
  rows: [P99, MAX],
  async *run(effort) {
    effort.begin(P99.id, MAX.id)
    const megabytes = largeMegabytes(effort)
    const rounds = effort.quick ? 1 : 3
    const idleSeconds = effort.quick ? 1 : 3
    const busySeconds = effort.quick ? 2 : 6
    const runs: LoopDelays[] = []
    for (let round = 0; round < rounds; round++) {
      await using scratch = await scratchFolder()
      const args = [megabytes, idleSeconds, busySeconds].map(String)
      runs.push((await runChild('loop-delay', ...args, scratch.path)) as LoopDelays)
    }
    const middle = (of: (run: LoopDelays) => number) => median(runs.map(of))
    const settings = {
      megabytes,
      rounds,
      idle_seconds: idleSeconds,
      busy_seconds: busySeconds,
      windows: middle(({ windows }) => windows),
      publishes: middle(({ publishes }) => publishes),
      loads: middle(({ loads }) => loads),
    }
    yield measured(
      P99,
      middle(({ busy, idle }) => busy.p99 - idle.p99),
      {
        busy_p99_ms: middle(({ busy }) => busy.p99),
        idle_p99_ms: middle(({ idle }) => idle.p99),
        busy_p50_ms: middle(({ busy }) => busy.p50),
        idle_p50_ms: middle(({ idle }) => idle.p50),
      },
      settings,
    )
    // The worst of all runs: a stall that comes once in three is felt all the same.
    const worst = Math.max(...runs.map(({ busy }) => busy.max))
    yield measured(
      MAX,
      worst,
      { busy_max_ms: worst, idle_max_ms: Math.max(...runs.map(({ idle }) => idle.max)) },
      settings,
    )
  },
}
