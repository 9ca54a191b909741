/** Runs the command line on a terminal of its own, as wide as a test asks for. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { findPython } from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'

export interface TerminalRun {
  readonly cwd: string
  /** Of the terminal, in columns. */
  readonly columns: number
  /** Of the terminal once something has been written. Default: as before. */
  readonly laterColumns?: number
  /** Added to this process's environment. */
  readonly env?: Record<string, string>
}

/** What a terminal got. */
export interface TerminalEnd {
  readonly code: number
  /** As it came, with every escape sequence. */
  readonly output: string
}

/** Whether this system has terminals for tests to make. */
export const withTerminals = process.platform !== 'win32'

/** Runs `torchbed` with arguments on a terminal; killed after a minute. */
export async function onTerminal(args: string[], run: TerminalRun): Promise<TerminalEnd> {
  return nodeOnTerminal([join(packageRoot(), 'dist', 'lib', 'cli', 'main.js'), ...args], run)
}

/** Runs Node.js with arguments on a terminal; killed after a minute. */
export async function nodeOnTerminal(args: string[], run: TerminalRun): Promise<TerminalEnd> {
  const { columns, laterColumns = columns, cwd, env } = run
  const { executable } = await findPython()
  const helper = join(packageRoot(), 'test', 'support', 'terminal.py')
  const command = [String(columns), String(laterColumns), process.execPath, ...args]
  const end = spawnSync(executable, [helper, ...command], {
    cwd,
    env: { ...process.env, TERM: 'xterm-256color', ...env },
    encoding: 'utf8',
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  if (end.status !== 0) throw new Error(`terminal.py: ${end.stderr}`)
  return JSON.parse(end.stdout) as TerminalEnd
}

/** What a terminal's output would be in a file: without escape sequences. */
export function withoutEscapes(output: string): string {
  // eslint-disable-next-line no-control-regex -- it is what is looked for
  return output.replace(/\u001b\[[\d;?]*[A-Za-z]/g, '')
}

/** Every piece of text that was put into one row: what stands between two returns of the cursor. */
export function rows(output: string): string[] {
  return withoutEscapes(output)
    .split(/[\r\n]+/)
    .filter((row) => row !== '')
}
