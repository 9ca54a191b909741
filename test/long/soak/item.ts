/** Runs a program that measures itself, in a process of its own, and reads what it says. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { ITEMS, type Item, type ItemName, type Measurement } from './items.js'

/** When a program is killed, in milliseconds: eight times what the slowest takes on a busy machine. */
const HANGS_MS = 900_000

/**
 * V8 lets its young generation grow to 48 MiB when many objects live at once. It is kept small, so that a step of
 * V8's is not taken for a leak.
 */
const V8_OPTIONS = ['--expose-gc', '--max-semi-space-size=1']

/** Repeats an item `count` times after its warm-up. Throws when the process does not end well. */
export async function runItem(
  item: ItemName,
  count: number,
  node = process.execPath,
): Promise<Measurement> {
  const script = fileURLToPath(new URL('child.js', import.meta.url))
  const { env }: Item = ITEMS[item]
  const command = [node, ...V8_OPTIONS, script, item, String(count)]
  return (await measuredBy(command, env)) as Measurement
}

/** Runs a command whose stdout is one line of JSON, and answers that. Throws with its stderr when it fails. */
export async function measuredBy(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const [program = '', ...args] = command
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: HANGS_MS,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ending = await new Promise<string>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
  })
  if (ending === 'exit code 0') return JSON.parse(stdout) as unknown
  throw new Error(`${command.join(' ')} ended with ${ending}:\n${stderr}${stdout}`)
}
