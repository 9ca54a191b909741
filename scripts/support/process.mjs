/** Run other programs to their end, and take them along when this one is told to stop. */
import { Buffer } from 'node:buffer'
import { spawn } from 'node:child_process'
import { constants, createWriteStream } from 'node:fs'
import { access, mkdir } from 'node:fs/promises'
import os from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import process from 'node:process'
import { finished } from 'node:stream/promises'
import { setTimeout } from 'node:timers'
import { ROOT } from './paths.mjs'

/** How long a program that was told to stop may take, in milliseconds. */
const STOPPING_MS = 5000

const running = new Set()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    const leave = () => process.exit(128 + os.constants.signals[signal])
    for (const child of running) {
      child.once('close', () => running.size === 0 && leave())
      child.kill(signal)
    }
    if (running.size === 0) leave()
    setTimeout(leave, STOPPING_MS)
  })
}

/**
 * Run a program and wait for its end.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {object} options `env`: added to this process's own (undefined removes); `cwd`: default
 *   the clone; `log`: file that receives the output; `show`: pass the output on as it comes;
 *   `onStart`: told the pid
 * @returns {Promise<{ok: boolean, ending: string, output: string}>} `ending` says how it ended,
 *   such as `exit code 1`; `output` is stdout and stderr together, empty when shown
 */
export async function run(
  command,
  args,
  { env = {}, cwd = ROOT, log, show = false, onStart } = {},
) {
  const file = log && (await openLog(log))
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: show ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  })
  running.add(child)
  child.once('close', () => running.delete(child))
  if (child.pid !== undefined) onStart?.(child.pid)
  const chunks = []
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => {
      chunks.push(chunk)
      file?.write(chunk)
    })
  }
  const end = await new Promise((resolve) => {
    child.on('error', (error) => resolve({ ok: false, ending: `${error.code ?? error.message}` }))
    child.on('close', (code, signal) =>
      resolve({ ok: code === 0, ending: signal ? `signal ${signal}` : `exit code ${code}` }),
    )
  })
  running.delete(child) // one that never started does not close
  if (file) await finished(file.end())
  return { ...end, output: Buffer.concat(chunks).toString() }
}

/** The last `count` lines that are not blank. */
export function lastLines(output, count = 12) {
  const lines = output.split(/\r?\n/).filter((line) => line.trim() !== '')
  return lines.slice(-count).join('\n')
}

/** Path of a program on PATH, or null. */
export async function onPath(name) {
  const file = process.platform === 'win32' ? `${name}.exe` : name
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, file)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (folder !== '' && found) return path
  }
  return null
}

async function openLog(path) {
  await mkdir(dirname(path), { recursive: true })
  return createWriteStream(path)
}
