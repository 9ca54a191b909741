/** Measurements that need a process of their own: dist/bench/children/*.js, which print JSON. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

/** A child that takes longer is stuck, in milliseconds. */
const CHILD_TIMEOUT_MS = 180_000

/** Runs bench/children/`name`.ts to its end and returns what it printed. Its stderr is this process's. */
export async function runChild(name: string, ...args: string[]): Promise<unknown> {
  const script = fileURLToPath(new URL(`./children/${name}.js`, import.meta.url))
  const child = spawn(process.execPath, ['--expose-gc', script, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: CHILD_TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  try {
    const ended = once(child, 'close') as Promise<[number | null, string | null]>
    const [output, [code, signal]] = await Promise.all([text(child.stdout), ended])
    if (code !== 0) {
      throw new Error(`${name} ${args.join(' ')} ended with ${String(code ?? signal)}: ${output}`)
    }
    return JSON.parse(output)
  } finally {
    process.off('exit', kill)
  }
}
