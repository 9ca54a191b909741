/** Python in a process, for real: started, called, torch imported, left. In a child, as any of it may crash. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Check } from './check.js'

/** Calls whose median is shown. */
export const CALLS = 2000

/** Lines of the child's stderr that are kept. */
const LAST_LINES = 24

/** Longest line of them that is kept whole, in UTF-16 units. */
const MAX_LINE = 500

/** In the order in which they are taken; when `start` fails there are no others. */
export type Step = 'start' | 'calls' | 'openssl' | 'torch'

/** What a step found. */
export type Facts = Readonly<Record<string, string | number | boolean>>

/** What the child says of a step: that it begins (no facts yet), what it found, or how it failed. */
export type StepReport =
  | { readonly step: Step; readonly facts: Facts | null }
  | { readonly step: Step; readonly failure: Check }

/** How the child ended. */
export interface RoundTripEnd {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** Whether it was killed because its time was over. */
  readonly timedOut: boolean
  /** The step that it was in; null after the last, when it had nothing left but to end. */
  readonly during: Step | null
  /** The end of its stderr. */
  readonly lastLines: readonly string[]
}

/**
 * Runs the child and hands over what it says, a step at a time.
 *
 * @param timeoutMs longest time for all of it, in milliseconds
 */
export function roundTrip(
  options: { executable: string; cwd: string; env: NodeJS.ProcessEnv; timeoutMs: number },
  onStep: (report: StepReport) => void,
): Promise<RoundTripEnd> {
  const { executable, cwd, env, timeoutMs } = options
  const child = fork(fileURLToPath(new URL('round-trip-child.js', import.meta.url)), [executable], {
    cwd,
    env,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let during: Step | null = null
  let timedOut = false
  let printed = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(-2 * LAST_LINES * MAX_LINE)
  })
  child.on('message', (message) => {
    const report = message as StepReport
    during = 'facts' in report && report.facts === null ? report.step : null
    if (during === null) onStep(report)
  })
  const timer = setTimeout(() => (timedOut = child.kill('SIGKILL')), timeoutMs)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer)
      resolve({ exitCode, signal, timedOut, during, lastLines: lastLines(printed) })
    })
  })
}

/** Without the frames of Python's import system, of which a crash while importing has dozens. */
function lastLines(printed: string): string[] {
  return printed
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.includes('<frozen importlib'))
    .slice(-LAST_LINES)
    .map((line) => line.slice(0, MAX_LINE))
}
