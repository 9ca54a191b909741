import { join } from 'node:path'
import type { PyInput, WorkloadSpec } from '../lib/index.js'
import { packageRoot } from '../lib/runtime/package-root.js'

const workloads = join(packageRoot(), 'bench', 'workloads')

/** The workload of bench/workloads/bench_workload.py, which says what its config means. */
export function benchWorkload(config: PyInput): WorkloadSpec {
  return {
    factory: 'bench_workload:create_workload',
    config,
    moduleSearchRoots: [workloads],
  }
}

/** Hooks that return at once, without torch (bench/workloads/quiet_workload.py). */
export const quietWorkload: WorkloadSpec = {
  factory: 'quiet_workload:create_workload',
  moduleSearchRoots: [workloads],
}
