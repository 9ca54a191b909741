/** The facts that a number depends on: hardware, system, versions, settings. */

import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { arch, cpus, loadavg, platform, release, tmpdir, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { findPython } from '../lib/index.js'

export interface Machine {
  /** When the run began, in UTC. */
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memory_gib: number
  /** Kernel and architecture. */
  readonly system: string
  readonly node: string
  readonly python: string
  /** Null where Python has none. */
  readonly torch: string | null
  readonly torch_threads: number | null
  /** Variables that set the number of threads; null where unset. */
  readonly thread_variables: Readonly<Record<string, string | null>>
  /** What decides about the files of the benchmark; null where unknown. */
  readonly page_cache: Readonly<Record<string, string | null>>
  /** Of the last minute, before the run. */
  readonly load_average: number
  readonly quick: boolean
}

const THREAD_VARIABLES = ['OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'UV_THREADPOOL_SIZE']

export async function describeMachine(quick: boolean): Promise<Machine> {
  const python = await findPython()
  const torch = await describeTorch(python.executable)
  return {
    date: new Date().toISOString(),
    cpu: await cpuModel(),
    cores: cpus().length,
    memory_gib: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release().split('-', 1)[0]} ${arch()}`,
    node: process.versions.node,
    python: python.version,
    torch: torch?.version ?? null,
    torch_threads: torch?.threads ?? null,
    thread_variables: Object.fromEntries(
      THREAD_VARIABLES.map((name) => [name, process.env[name] ?? null]),
    ),
    page_cache: {
      file_system: await fileSystem(),
      dirty_ratio: await setting('/proc/sys/vm/dirty_ratio'),
      dirty_background_ratio: await setting('/proc/sys/vm/dirty_background_ratio'),
      transparent_hugepage: await setting('/sys/kernel/mm/transparent_hugepage/enabled'),
    },
    load_average: loadavg()[0] ?? 0,
    quick,
  }
}

/** The facts in lines for a terminal. */
export function machineText(machine: Machine): string {
  const values = (record: Readonly<Record<string, string | null>>) =>
    Object.entries(record)
      .map(([name, value]) => `${name} ${value ?? 'unset'}`)
      .join(' · ')
  return [
    `${machine.date} · ${machine.cpu} · ${machine.cores} cores · ${machine.memory_gib} GiB · ${machine.system}`,
    `node ${machine.node} · python ${machine.python} · torch ${machine.torch ?? 'absent'}` +
      ` · load average ${machine.load_average.toFixed(2)}`,
    `threads: torch ${machine.torch_threads ?? '-'} by default, 1 in every row · ${values(machine.thread_variables)}`,
    `files: ${values(machine.page_cache)}`,
    ...(machine.quick ? ['quick: small sizes, few rounds; the numbers mean nothing'] : []),
  ].join('\n')
}

async function describeTorch(python: string): Promise<{ version: string; threads: number } | null> {
  const script = 'import torch; print(torch.__version__, torch.get_num_threads())'
  try {
    const { stdout } = await promisify(execFile)(python, ['-c', script])
    const [version = '', threads] = stdout.trim().split(' ')
    return { version, threads: Number(threads) }
  } catch {
    return null
  }
}

/** Node shortens the names of some processors; /proc has family and model beside them. */
async function cpuModel(): Promise<string> {
  const name = cpus()[0]?.model ?? 'unknown'
  const info = await setting('/proc/cpuinfo')
  const field = (key: string) => new RegExp(`^${key}\\s*: (.+)$`, 'm').exec(info ?? '')?.[1]
  const [family, model] = [field('cpu family'), field('model')]
  return family === undefined || model === undefined
    ? name
    : `${name} (family ${family} model ${model})`
}

/** Kind of the file system below the temporary folder. */
async function fileSystem(): Promise<string | null> {
  if (platform() !== 'linux') return null
  try {
    const { stdout } = await promisify(execFile)('stat', ['-f', '-c', '%T', tmpdir()])
    return stdout.trim()
  } catch {
    return null
  }
}

async function setting(path: string): Promise<string | null> {
  return readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => null,
  )
}
