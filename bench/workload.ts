import { join } from 'node:path'
import type { PyInput, WorkloadSpec } from '../lib/index.js'
import { packageRoot } from '../lib/runtime/package-root.js'

/** The workload of bench/workloads/bench_workload.py, which says what its config means. */
export function benchWorkload(config: PyInput): WorkloadSpec {
  return {
    factory: 'bench_workload:create_workload',
    config,
    moduleSearchRoots: [join(packageRoot(), 'bench', 'workloads')],
  }
}
