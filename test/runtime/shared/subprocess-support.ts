/** What the tests of SubprocessRuntime have in common. */
import assert from 'node:assert/strict'
import {
  findPython,
  SubprocessRuntime,
  type PyInput,
  type SubprocessRuntimeOptions,
  type WorkloadSession,
} from '../../../lib/index.js'
import { returning, workloadRoot } from '../../support/workloads.js'
import type { Folder } from '../interpreters.js'
import { workersOf } from './processes.js'

/** Runtimes of one file of tests, closed after each test; a process that is left fails the test. */
export class Runtimes {
  readonly #started: SubprocessRuntime[] = []

  constructor() {
    afterEach(async () => {
      await Promise.all(this.#started.splice(0).map((runtime) => runtime.close()))
      assert.deepEqual(await workersOf(process.pid), [], 'a worker was left behind')
    })
  }

  /** Quiet on stderr, as tests make workers complain. */
  async start(options: SubprocessRuntimeOptions = {}): Promise<SubprocessRuntime> {
    const runtime = await SubprocessRuntime.start(options)
    runtime.on('stderr', () => undefined)
    this.#started.push(runtime)
    return runtime
  }

  /** A session of the plain workload, or of another attr of its module, with a model. */
  async open(options: SubprocessRuntimeOptions = {}, config?: PyInput): Promise<WorkloadSession> {
    const runtime = await this.start(options)
    const session = await runtime.openWorkload({
      factory: 'plain:create_workload',
      moduleSearchRoots: [workloadRoot],
      ...(config === undefined ? {} : { config }),
    })
    await session.call('init_model', { device: 'cpu' })
    return session
  }
}

/** The process of a session of the plain workload. */
export async function pidOf(session: WorkloadSession): Promise<number> {
  const answer = await session.call('train_window', returning("{'pid': __import__('os').getpid()}"))
  return Number((answer as { metrics: { pid: bigint } }).metrics.pid)
}

/**
 * An executable that cannot be embedded, as it says that it is free-threaded, but runs workers. Before
 * one, it runs `statements` of sh, which know the port as $port and the real Python as $python.
 */
export async function unembeddable(folder: Folder, statements = ''): Promise<string> {
  const { executable } = await findPython()
  const build = "import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1"
  const probed = await folder.altered('probed', executable, build)
  return folder.script(
    'python',
    `python='${executable}'
case "$1" in -E) exec '${probed}' "$@";; esac
for port; do :; done
${statements}
exec "$python" "$@"`,
  )
}
