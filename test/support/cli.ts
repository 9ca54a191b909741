/** Runs the command line as a user would: in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The file that Node runs as `torchbed`. */
export const mainProgram = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

/** How a command ended. */
export interface CommandEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd?: string
  /** Added to this process's environment. */
  readonly env?: Record<string, string>
  /** Called with all that stdout has so far, whenever there is more. */
  readonly onStdout?: (stdout: string, child: ChildProcess) => void
  /** The same for stderr. */
  readonly onStderr?: (stderr: string, child: ChildProcess) => void
}

/** Runs `torchbed` with arguments; killed after a minute. */
export async function torchbed(args: string[], options: CommandOptions = {}): Promise<CommandEnd> {
  const child = spawn(process.execPath, [mainProgram, ...args], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    options.onStdout?.(stdout, child)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    options.onStderr?.(stderr, child)
  })
  return new Promise((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })),
  )
}

/** The events of a `--json` run. Throws when a line is no JSON. */
export function jsonEvents(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

/** A file of the package's examples. */
export function example(...path: string[]): string {
  return fileURLToPath(new URL(join('../../../examples', ...path), import.meta.url))
}
