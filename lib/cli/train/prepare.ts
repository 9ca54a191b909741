/** Makes a dataset with the script that the config names, where there is none yet. */

import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { throwIfAborted } from '../../core/abort.js'
import { ConfigError } from '../../errors.js'
import { findPython } from '../../runtime/python/find-python.js'
import { DatasetPrepareError } from '../errors.js'

/** Last lines of a failed script's stderr that its error quotes. */
const QUOTED_LINES = 20

/** How the dataset is made. Paths are absolute. */
export interface PrepareOptions {
  readonly root: string
  /** Null when the config names none. */
  readonly script: string | null
  /** As in the config; undefined to search. */
  readonly python: string | undefined
  readonly env: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Called when the script is about to run, and with each line that it prints. */
  readonly onStart: () => void
  readonly onLine: (line: string) => void
}

/**
 * Runs the script, in its own folder and with the run's Python, when `root` has no `*.safetensors` file.
 *
 * @returns whether it was run
 * @throws ConfigError when there are no shards and no script; DatasetPrepareError when the script fails or makes
 *   none; AbortError; the errors of `findPython`
 */
export async function prepareDataset(options: PrepareOptions): Promise<boolean> {
  const { root, script } = options
  if (await hasShards(root)) return false
  if (script === null) {
    const message =
      `there is no *.safetensors file in ${JSON.stringify(root)}; put shards there, or name the prepare script ` +
      'that makes them as "dataset.prepare" ("torchbed init" writes an example)'
    throw new ConfigError('Cannot load the dataset', [{ path: 'dataset.root', message }])
  }
  const { executable } = await findPython({ python: options.python })
  refuseAborted(options.signal)
  options.onStart()
  await run(executable, script, options)
  if (await hasShards(root)) return true
  throw new DatasetPrepareError(
    `${JSON.stringify(script)} succeeded, but there is no *.safetensors file in ${JSON.stringify(root)}; ` +
      'correct "dataset.root", or where the script ("dataset.prepare") writes to',
  )
}

async function hasShards(root: string): Promise<boolean> {
  // What else may be wrong with the folder, the reader of the dataset says.
  const names = await readdir(root).catch(() => [])
  return names.some((name) => name.endsWith('.safetensors'))
}

async function run(executable: string, script: string, options: PrepareOptions): Promise<void> {
  const { signal, onLine } = options
  const child = spawn(executable, [script], {
    cwd: dirname(script),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stop = () => child.kill()
  signal.addEventListener('abort', stop, { once: true })
  // A script that ignores SIGTERM must not outlive a process that has stopped waiting.
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const lastLines: string[] = []
  createInterface(child.stdout).on('line', onLine)
  createInterface(child.stderr).on('line', (line) => {
    lastLines.push(line)
    if (lastLines.length > QUOTED_LINES) lastLines.shift()
    onLine(line)
  })
  try {
    const end = await new Promise<string | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, by) => {
        if (code === 0) resolve(null)
        else resolve(by === null ? `with exit code ${code ?? '?'}` : `by ${by}`)
      })
    })
    refuseAborted(signal)
    if (end === null) return
    const quoted = lastLines.map((line) => `\n  ${line}`).join('')
    throw new DatasetPrepareError(
      `${JSON.stringify(script)} ended ${end}; correct it, or make the dataset yourself${quoted}`,
    )
  } finally {
    signal.removeEventListener('abort', stop)
    process.off('exit', kill)
  }
}

function refuseAborted(signal: AbortSignal): void {
  throwIfAborted(signal, 'prepare the dataset')
}
