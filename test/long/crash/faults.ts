/**
 * Lets every system call of an operation fail once, one after the other, and says what was not as it must be.
 *
 * It runs in a process that has faults.c loaded: the next call number is tried until the operation makes no such
 * call. After each: a typed error or the right result, nothing old is lost, nothing is left, and a retry works.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import {
  faultEnvironment,
  FaultFile,
  faultLibrary,
  type FaultOrder,
  type Operation,
} from '../faults.js'

/** One thing that a program does, and by which it is told whether it went well. */
export interface Scenario {
  readonly name: string
  /** Brings about what `run` needs. Default nothing. */
  readonly before?: (round: number) => Promise<void>
  readonly run: (round: number) => Promise<void>
  /** Yields what is wrong after `run` has returned. */
  readonly after: (round: number) => AsyncIterable<string>
  /** Faults that may pass unnoticed, as nothing depends on the call. Default none. */
  readonly mayPass?: readonly Operation[]
}

/** What is swept. */
export interface SweepTarget {
  /** The code that every failure has. */
  readonly code: string
  readonly scenarios: readonly Scenario[]
  /** Yields what is wrong with what was there before, and what is left over. */
  readonly standing: (fault: FaultOrder) => AsyncIterable<string>
}

export interface SweepResult {
  /** How many calls were made to fail, by scenario. */
  readonly hit: Record<string, number>
  readonly problems: readonly string[]
}

const FAULTS: readonly (readonly [Operation, FaultOrder['action']])[] = [
  ['open', 'EACCES'],
  ['write', 'ENOSPC'],
  ['write', 'EIO'],
  ['write', 'short'],
  ['sync', 'EIO'],
  ['rename', 'EIO'],
  ['read', 'EIO'],
  ['read', 'short'],
  ['unlink', 'EACCES'],
  ['touch', 'EACCES'],
]

export async function sweep(target: SweepTarget, faults: FaultFile): Promise<SweepResult> {
  const problems: string[] = []
  const hit: Record<string, number> = {}
  let round = 0
  for (const scenario of target.scenarios) {
    hit[scenario.name] = 0
    for (const [operation, action] of FAULTS) {
      for (let from = 1; ; from++) {
        round++
        // A full disk stays full, and a device that is short of time gives less at every call.
        const isLasting = action === 'ENOSPC' || action === 'short'
        const order: FaultOrder = {
          ...{ operations: [operation], from, action },
          ...(isLasting ? {} : { calls: 1 }),
        }
        const where = `${scenario.name}, ${action} at ${operation} ${from}`
        const tell = (problem: string) => problems.push(`${where}: ${problem}`)
        await scenario.before?.(round)
        faults.give(order)
        const error = await scenario.run(round).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        const wasHit = faults.counts.hit > 0
        faults.clear()
        if (wasHit) hit[scenario.name]!++
        const mayPass = action === 'short' || scenario.mayPass?.includes(operation) === true
        if (error === undefined) {
          if (wasHit && !mayPass) tell('passed unnoticed')
          for await (const problem of scenario.after(round)) tell(problem)
        } else {
          if (action === 'short' || !wasHit) tell(`failed with ${describe(error)}`)
          const { code, cause } = error as { code?: string; cause?: { code?: string } }
          if (code !== target.code || cause?.code !== action)
            tell(`failed with ${describe(error)}, not with ${target.code} for ${action}`)
        }
        for await (const problem of target.standing(order)) tell(problem)
        try {
          await scenario.before?.(round)
          await scenario.run(round)
          for await (const problem of scenario.after(round)) tell(`at the retry: ${problem}`)
        } catch (thrown) {
          tell(`the retry failed with ${describe(thrown)}`)
        }
        if (!wasHit) break
      }
    }
  }
  return { hit, problems }
}

function describe(thrown: unknown): string {
  const { code = '', message } = thrown as { code?: string; message?: string }
  return `${code} ${message ?? String(thrown)}`
}

/** Sweeps in a process of its own. */
export async function sweepElsewhere(name: 'store' | 'cache'): Promise<SweepResult> {
  const library = faultLibrary()
  if (library === undefined) throw new Error('there is no C compiler')
  const script = fileURLToPath(new URL(`faults-${name}.js`, import.meta.url))
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'torchbed-faults-')))
  try {
    const orders = join(folder, 'orders')
    FaultFile.make(orders)
    const child = spawn(process.execPath, [script, folder, orders], {
      env: { ...process.env, ...faultEnvironment(library, join(folder, 'watched'), orders) },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    return JSON.parse(await text(child.stdout)) as SweepResult
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
