/** How a worker is started (spec worker-protocol#launch): its command line and its environment. */
import { randomBytes } from 'node:crypto'
import { delimiter, join, resolve } from 'node:path'
import { ValueError } from '../../errors.js'
import { refuseUnfitVariables } from '../environment-variables.js'
import { packageRoot } from '../package-root.js'
import type { WorkloadSpec } from '../python-runtime.js'
import { workingFolder } from '../python/python-probe.js'
import { RefusedValue } from '../conversion-error.js'
import { writePythonJson } from './protocol-write.js'

/** The module of our own worker. */
export const OWN_WORKER = 'torchbed.worker'

export const LOOPBACK = '127.0.0.1'

/** Which Python runs which worker module, and in what environment. */
export interface WorkerProgram {
  readonly python: string
  readonly module: string
  readonly env: Readonly<Record<string, string>>
}

export interface Launch {
  readonly command: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** What our worker sends first; null for others, which do not know of it. */
  readonly token: string | null
}

/**
 * The command that starts a worker for a workload and lets it connect to a port of this machine.
 * Throws {@link ValueError} for what does not fit into a command line or an environment.
 */
export function workerLaunch(program: WorkerProgram, spec: WorkloadSpec, port: number): Launch {
  const { python, module } = program
  const isOwn = module === OWN_WORKER
  const token = isOwn ? randomBytes(32).toString('hex') : null
  const args = [
    // What lies in the working folder must not be imported in place of a module, as in the embedded
    // runtime. Other workers may rely on it, and on a Python that does not know the option.
    ...(isOwn ? ['-P'] : []),
    ...['-m', module],
    ...['--factory', withoutNul(spec.factory, 'factory')],
    ...['--config-json', configText(spec)],
    ...['--connect-host', LOOPBACK],
    ...['--connect-port', String(port)],
  ]
  const given = { ...program.env, ...spec.env }
  refuseUnfitVariables(given)
  const env = {
    ...process.env,
    PYTHONUNBUFFERED: '1',
    ...given,
    PYTHONPATH: pythonPath(spec.moduleSearchRoots ?? [], given.PYTHONPATH),
    ...(token === null ? {} : { TORCHBED_WORKER_TOKEN: token }),
  }
  return { command: python, args, env, token }
}

/** ASCII alone, as the encoding of a command line is that of the locale. */
function configText({ config = null }: WorkloadSpec): string {
  try {
    return writePythonJson(config).replace(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  } catch (cause) {
    if (!(cause instanceof RefusedValue)) throw cause
    const { message, path } = cause
    const place = path === '' ? '' : ` at ${path}`
    throw new ValueError(`Cannot pass the workload's config: ${message}${place}`, path, { cause })
  }
}

function pythonPath(roots: readonly string[], given: string | undefined): string {
  const paths = roots.map((root, index) => {
    const path = resolve(workingFolder(), withoutNul(root, `moduleSearchRoots[${index}]`))
    if (!path.includes(delimiter)) return path
    throw new ValueError(
      `Cannot pass the module search root ${JSON.stringify(root)} to a worker process: it contains ` +
        `"${delimiter}", which separates folders in PYTHONPATH; rename the folder`,
      `moduleSearchRoots[${index}]`,
    )
  })
  // Our own folder stays in front even if `env` sets the rest: the worker itself is in there.
  const own = join(packageRoot(), 'python')
  const inherited = process.env.PYTHONPATH
  const rest = given === undefined ? [...paths, inherited] : [given]
  return [own, ...rest].filter((path) => path !== undefined && path !== '').join(delimiter)
}

function withoutNul(text: string, path: string): string {
  if (!text.includes('\0')) return text
  throw new ValueError(
    `Cannot start a worker: ${path} ${JSON.stringify(text)} contains a NUL character`,
    path,
  )
}
