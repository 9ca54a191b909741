/** Kills processes while they write, and checks what they leave: one run, from a seed. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisesOf, readReports, type Promises, type Report } from './promises.js'
import { Random } from './random.js'
import { FaultFile, faultEnvironment, faultLibrary } from '../faults.js'

export type CrashTargetName = 'store' | 'cache'

export interface CrashResult {
  /** Empty when all is well. */
  readonly problems: readonly string[]
  /** How the run went, for people. */
  readonly story: string
  /** What was reported before the kill. */
  readonly promised: number
}

/** From being ready to the kill, in milliseconds, at most. */
const SPREAD_MS = 700

/** When a kill comes before a call, the last call that it comes before. */
const LAST_CALL = 1200

/** A process that does not get so far is killed then, in milliseconds. */
const LATEST_MS = 5000

const CHILD = fileURLToPath(new URL('child.js', import.meta.url))

/** How one process ends. */
type Kill =
  | { readonly by: 'time'; readonly afterMs: number }
  | { readonly by: 'call'; readonly number: number }
  | { readonly by: 'other' }
  | { readonly by: 'nobody' }

/** What a seed stands for. The last two kinds of end follow that of the first process. */
export function killsOf(target: CrashTargetName, seed: number): readonly Kill[] {
  const random = new Random(seed ^ (target === 'store' ? 0x5eed : 0xcace))
  // By call, the same seed kills at the same place, if only one thread of one process writes.
  const kill = (): Kill =>
    random.below(2) === 0 && faultLibrary() !== undefined
      ? { by: 'call', number: 1 + random.below(LAST_CALL) }
      : { by: 'time', afterMs: random.below(SPREAD_MS) }
  const first = kill()
  if (seed % 3 !== 0) return [first]
  return [first, random.pick([kill(), { by: 'other' }, { by: 'nobody' }])]
}

/** `node` is the Node.js that all processes run. */
export async function runCrash(
  target: CrashTargetName,
  seed: number,
  node = process.execPath,
): Promise<CrashResult> {
  const folder = await mkdtemp(join(tmpdir(), 'torchbed-crash-'))
  const kills = killsOf(target, seed)
  try {
    const settings = { target, seed, writers: kills.length }
    const prepared = await end(start(node, 'prepare', { ...settings, writer: 0 }, folder), '')
    const workers = kills.map((kill, writer) => begin(node, { ...settings, writer }, folder, kill))
    const [first, second] = workers
    if (second !== undefined) {
      void first!.ended.then(() => {
        if (kills[1]!.by === 'other') second.child.kill('SIGKILL')
        if (kills[1]!.by === 'nobody') second.child.stdin!.end()
      })
    }
    const ends = await Promise.all(workers.map(({ ended }) => ended))
    const promises: Promises = Object.fromEntries(
      ends.flatMap(({ reports }) => Object.entries(promisesOf(reports))),
    )
    const checking = start(node, 'check', { ...settings, writer: 0 }, folder)
    const checked = await end(checking, JSON.stringify(promises))
    const problems = [prepared, ...ends, checked].flatMap(({ reports, stderr }) => [
      ...reports.flatMap((one) => (one.type === 'problem' ? [one.text] : [])),
      ...(stderr === '' ? [] : [stderr]),
    ])
    ends.forEach(({ how }, i) => {
      const expected = kills[i]!.by === 'nobody' ? '0' : 'SIGKILL'
      if (how !== expected) problems.push(`writer ${i} ended with ${how}, not with ${expected}`)
    })
    for (const one of [prepared, checked])
      if (one.how !== '0') problems.push(`ended with ${one.how}`)
    const promised = ends.reduce((sum, { reports }) => sum + reports.length - 1, 0)
    const story = `seed ${seed}, ${promised} reports, kills ${JSON.stringify(kills)}`
    return { problems, story, promised }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface End {
  readonly reports: readonly Report[]
  readonly stderr: string
  /** The signal, or the exit code. */
  readonly how: string
}

function start(
  node: string,
  task: 'prepare' | 'work' | 'check',
  settings: object,
  folder: string,
  env: Record<string, string> = {},
): ChildProcess {
  return spawn(node, [CHILD, task, JSON.stringify(settings), folder], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
  })
}

async function end(child: ChildProcess, input?: string): Promise<End> {
  let text = ''
  let stderr = ''
  const reports = child.stdio[3] as Readable
  reports.setEncoding('utf8').on('data', (data: string) => (text += data))
  child.stderr!.setEncoding('utf8').on('data', (data: string) => (stderr += data))
  // It may be killed before it reads.
  child.stdin!.on('error', () => undefined)
  if (input !== undefined) child.stdin!.end(input)
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { reports: readReports(text), stderr, how: signal ?? String(code) }
}

/** Starts a writer that will be killed. */
function begin(
  node: string,
  settings: { readonly writer: number },
  folder: string,
  kill: Kill,
): { readonly child: ChildProcess; readonly ended: Promise<End> } {
  let env: Record<string, string> = {}
  if (kill.by === 'call') {
    const file = join(folder, `order-${settings.writer}`)
    FaultFile.make(file, {
      operations: ['open', 'write', 'sync', 'rename', 'unlink', 'touch'],
      from: kill.number,
      action: 'kill',
    })
    env = faultEnvironment(faultLibrary()!, folder, file)
  }
  const child = start(node, 'work', settings, folder, env)
  const afterMs = kill.by === 'time' ? kill.afterMs : LATEST_MS
  // The first report is that it is ready.
  child.stdio[3]!.once('data', () => {
    const timer = setTimeout(() => child.kill('SIGKILL'), afterMs)
    child.once('exit', () => clearTimeout(timer))
  })
  return { child, ended: end(child) }
}
