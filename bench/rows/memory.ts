/** Peak memory of publishing and loading, beyond the model itself. */

import { runChild } from '../child.js'
import { median } from '../measure.js'
import { largeMegabytes, measured, type Group, type RowSpec } from '../row.js'
import { scratchFolder } from '../scratch.js'

const DIRECTIONS = ['publish', 'load'] as const
const SPECS = {
  publish: {
    id: 'memory-publish',
    title: 'peak memory above the model, publish 400 MB into a store / the artifact',
    better: 'at most',
    limit: 1.15,
    needs: ['torch', 'linux'],
  },
  load: {
    id: 'memory-load',
    title: 'peak memory above the model, load 400 MB from a store / the artifact',
    better: 'at most',
    limit: 1.15,
    needs: ['torch', 'linux'],
  },
} as const satisfies Record<(typeof DIRECTIONS)[number], RowSpec>

/** What bench/children/peak-memory.ts prints. */
interface PeakMemory {
  readonly artifact_bytes: number
  readonly before_bytes: number
  readonly peak_bytes: number
}

export const memory: Group = {
  name: 'memory',
  rows: DIRECTIONS.map((direction) => SPECS[direction]),
  async *run(effort) {
    const megabytes = largeMegabytes(effort)
    const rounds = effort.quick ? 1 : 3
    effort.begin(SPECS.publish.id, SPECS.load.id)
    const runs: Record<(typeof DIRECTIONS)[number], PeakMemory[]> = { publish: [], load: [] }
    for (let round = 0; round < rounds; round++) {
      await using scratch = await scratchFolder()
      for (const direction of DIRECTIONS) {
        const peak = await runChild('peak-memory', direction, String(megabytes), scratch.path)
        runs[direction].push(peak as PeakMemory)
      }
    }
    for (const direction of DIRECTIONS) {
      const extra = runs[direction].map((run) => run.peak_bytes - run.before_bytes)
      const artifact = median(runs[direction].map((run) => run.artifact_bytes))
      yield measured(
        SPECS[direction],
        median(extra) / artifact,
        { extra_mb: median(extra) / 1e6, artifact_mb: artifact / 1e6 },
        { megabytes, rounds },
      )
    }
  },
}
