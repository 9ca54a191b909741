/** From nothing to the first answered call, in a fresh process. */

import { runChild } from '../child.js'
import { interleaved } from '../measure.js'
import { measured, type Group, type RowSpec } from '../row.js'

const BARE: RowSpec = {
  id: 'start-up',
  title: 'fresh process to first answered call, without torch, embedded / subprocess',
  better: 'at most',
  limit: 1,
}
const TORCH: RowSpec = {
  id: 'start-up-torch',
  title: 'fresh process to first answered call, workload imports torch, embedded / subprocess',
  better: 'at most',
  limit: 1,
  needs: ['torch'],
}

export const startUp: Group = {
  name: 'start-up',
  rows: [BARE, TORCH],
  async *run(effort) {
    for (const [spec, what] of [
      [BARE, 'bare'],
      [TORCH, 'torch'],
    ] as const) {
      if (!effort.wants(spec.id)) continue
      effort.begin(spec.id)
      const rounds = effort.quick ? 1 : 7
      const took = await interleaved(
        {
          embedded: () => firstCall('embedded', what),
          subprocess: () => firstCall('subprocess', what),
        },
        rounds,
      )
      yield measured(
        spec,
        took.embedded / took.subprocess,
        { embedded_ms: took.embedded, subprocess_ms: took.subprocess },
        { rounds },
      )
    }
  },
}

/** Milliseconds from before the process is there to the answer; its end is not counted. */
async function firstCall(where: string, what: string): Promise<number> {
  const began = Date.now()
  return Number(await runChild('first-call', where, what)) - began
}
