/** Runs one cell of the exit matrix in a process of its own, and says what was not as it must be. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import {
  cellName,
  expectationOf,
  LEAVING_LIMIT_MS,
  ORPHAN_LIMIT_MS,
  STATES,
  type Cell,
  type State,
} from './cells.js'
import { commandOf, isAlive, leftBehind, type RunningProcess } from '../processes.js'

export interface CellOptions {
  /** Path of the Node.js that runs it. Default: this one. */
  readonly node?: string | undefined
  /** From being ready to leaving, in milliseconds. Default: random, up to the state's `spreadMs`. */
  readonly delayMs?: number | undefined
  /** The program, run with the arguments of child.ts. Default: that. */
  readonly script?: string | undefined
}

export interface CellResult {
  /** Empty when all is well. */
  readonly problems: readonly string[]
  readonly delayMs: number
  /** From the moment of leaving to the end; null when it never left. */
  readonly leavingMs: number | null
  /** For people: what was expected, what came, and the last lines of the output. */
  readonly report: string
}

/** Longest time to reach a state, in milliseconds: a busy machine imports torch in ten seconds. */
const READY_LIMIT_MS = 60_000

/** When a process that does not leave is killed, in milliseconds. */
const HANGS_MS = 15_000

const OUTPUT_LINES = 12

const CHILD = fileURLToPath(new URL('child.js', import.meta.url))

interface End {
  readonly pid: number
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly leavingMs: number | null
  /** What kept it from being judged by its end; else undefined. */
  readonly killedBecause: string | undefined
  /** How many processes it had started when it was ready. */
  readonly children: number
  readonly orphans: readonly string[]
  readonly cores: readonly string[]
  /** How often its exit functions ran. */
  readonly exitFunctionRuns: number
}

export async function runCell(cell: Cell, options: CellOptions = {}): Promise<CellResult> {
  const delayMs = options.delayMs ?? Math.round(Math.random() * STATES[cell.state].spreadMs)
  const folder = await mkdtemp(join(tmpdir(), 'torchbed-exit-'))
  try {
    const { node = process.execPath, script = CHILD } = options
    const end = await run(cell, delayMs, [node, script], folder)
    const problems = problemsOf(cell, end)
    return { problems, delayMs, leavingMs: end.leavingMs, report: reportOf(cell, end) }
  } finally {
    await rm(folder, { recursive: true, maxRetries: 3 })
  }
}

async function run(
  cell: Cell,
  delayMs: number,
  program: readonly string[],
  folder: string,
): Promise<End> {
  const exitFile = join(folder, 'exit-functions')
  const variable = `TORCHBED_EXIT_CELL=${folder}`
  await mkdir(join(folder, 'tmp'))
  const command = [...program, cell.state, cell.way, String(delayMs), folder]
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    PYTHONPATH: join(packageRoot(), 'test', 'long', 'startup'),
    TMPDIR: join(folder, 'tmp'),
    TORCHBED_EXIT_CELL: folder,
    TORCHBED_EXIT_FILE: exitFile,
  }
  delete env.NODE_OPTIONS
  delete env.PYTHONHOME
  if (env.TORCHBED_PYTHON !== undefined) env.TORCHBED_PYTHON = resolve(env.TORCHBED_PYTHON)
  // A crash is to leave a core, so that one is noticed in the processes that it started, too.
  const shell = ['-c', 'ulimit -c unlimited 2>/dev/null; exec "$0" "$@"', ...command]
  const child = spawn('/bin/sh', shell, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const { pid } = child
  if (pid === undefined) throw new Error(`cannot start ${program.join(' ')}`)

  let stdout = ''
  let stderr = ''
  let readyAt: number | undefined
  let leavingAt: number | undefined
  let killedBecause: string | undefined
  const kill = (because: string) => () => {
    killedBecause = because
    child.kill('SIGKILL')
  }
  let timer = setTimeout(kill('it did not get ready'), READY_LIMIT_MS)
  const isLeaving = () => {
    leavingAt ??= performance.now()
    clearTimeout(timer)
    timer = setTimeout(kill('it did not end'), HANGS_MS)
  }
  const isReady = () => {
    readyAt = performance.now()
    clearTimeout(timer)
    timer = setTimeout(kill('it did not leave'), READY_LIMIT_MS)
    const signal = { sigint: 'SIGINT', sigterm: 'SIGTERM', handler: 'SIGTERM' } as const
    const { way } = cell
    if (way === 'sigint' || way === 'sigterm' || way === 'handler') {
      setTimeout(() => {
        isLeaving()
        child.kill(signal[way])
      }, delayMs)
    }
  }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (readyAt === undefined && /^READY$/m.test(stdout)) isReady()
    if (leavingAt === undefined && /^LEAVING$/m.test(stdout)) isLeaving()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const closed = once(child, 'close')
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
  const endedAt = performance.now()
  clearTimeout(timer)

  const limit = signal === null ? ORPHAN_LIMIT_MS.ordinary : ORPHAN_LIMIT_MS.killed
  const children = JSON.parse(/^CHILDREN (.*)$/m.exec(stdout)?.[1] ?? '[]') as RunningProcess[]
  const orphans = await endOrphans(pid, variable, children, limit)
  await closed
  const lines = await readFile(exitFile, 'utf8').catch(() => '')
  const files = await readdir(folder, { recursive: true })
  return {
    pid,
    code,
    signal,
    stdout,
    stderr,
    leavingMs: leavingAt === undefined ? null : endedAt - leavingAt,
    killedBecause,
    children: children.length,
    orphans,
    cores: files.filter((file) => /(^|\/)core(\.\d+)?$/.test(file)),
    exitFunctionRuns: lines.split('\n').filter((line) => line === String(pid)).length,
  }
}

/** Waits for what a process has left behind, kills what stays beyond the limit, and names that. */
async function endOrphans(
  pid: number,
  variable: string,
  children: readonly RunningProcess[],
  limitMs: number,
): Promise<string[]> {
  const alive = async () => {
    const known = await leftBehind(pid, variable)
    for (const one of children) {
      const isKnown = known.some((other) => other.pid === one.pid)
      if (!isKnown && (await isAlive(one))) known.push(one)
    }
    return known
  }
  const deadline = performance.now() + limitMs
  let orphans = await alive()
  while (orphans.length > 0 && performance.now() < deadline) {
    await delay(50)
    orphans = await alive()
  }
  const names = await Promise.all(
    orphans.map(async (orphan) => `${orphan.pid} (${await commandOf(orphan)})`),
  )
  for (const orphan of orphans) {
    try {
      process.kill(orphan.pid, 'SIGKILL')
    } catch {
      // It has ended meanwhile.
    }
  }
  return names
}

function problemsOf(cell: Cell, end: End): string[] {
  const expected = expectationOf(cell)
  const problems: string[] = []
  if (end.killedBecause !== undefined) problems.push(`was killed because ${end.killedBecause}`)
  if (end.code !== expected.code || end.signal !== expected.signal) {
    problems.push(`ended with ${ending(end)}, not with ${ending(expected)}`)
  }
  if (!/^READY$/m.test(end.stdout)) problems.push('never reached its state')
  const { children, noise }: State = STATES[cell.state]
  if (end.children < children) {
    problems.push(`had ${end.children} processes of its own, not ${children}, when it was ready`)
  }
  if (end.leavingMs === null) problems.push('never came to leave')
  if (end.leavingMs !== null && end.leavingMs > LEAVING_LIMIT_MS) {
    problems.push(`took ${Math.round(end.leavingMs)} ms to leave, more than ${LEAVING_LIMIT_MS}`)
  }
  const runs = expected.exitFunctions ? 1 : 0
  if (end.exitFunctionRuns !== runs) {
    problems.push(
      `ran its Python exit functions ${end.exitFunctionRuns} times, not ${runs}: ${expected.reason}`,
    )
  }
  for (const orphan of end.orphans) problems.push(`left process ${orphan} behind`)
  for (const core of end.cores) problems.push(`left the core ${core}`)
  const stderr = noise === undefined ? end.stderr : end.stderr.replace(noise, '')
  const isAsSaid = expected.stderr?.test(stderr) ?? stderr === ''
  if (!isAsSaid) {
    const wanted = expected.stderr === undefined ? 'empty' : `matching ${String(expected.stderr)}`
    problems.push(`has a stderr that is not ${wanted}`)
  }
  return problems
}

function ending({ code, signal }: { code: number | null; signal: string | null }): string {
  return signal === null ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`
}

function reportOf(cell: Cell, end: End): string {
  const expected = expectationOf(cell)
  const exits = (runs: boolean) => (runs ? 'run' : 'do not run')
  const leaving = end.leavingMs === null ? 'never' : `${Math.round(end.leavingMs)} ms`
  return [
    `cell      ${cellName(cell)}`,
    `expected  ${ending(expected)}, at most ${LEAVING_LIMIT_MS} ms; exit functions ` +
      `${exits(expected.exitFunctions)} (${expected.reason})`,
    `came      ${ending(end)}, ${leaving}; exit functions ran ${end.exitFunctionRuns} times`,
    ...tail('stdout', end.stdout),
    ...tail('stderr', end.stderr),
  ].join('\n')
}

function tail(name: string, text: string): string[] {
  const lines = text.trimEnd().split('\n').slice(-OUTPUT_LINES)
  return lines.map((line, i) => (i === 0 ? name : '').padEnd(10) + line)
}
