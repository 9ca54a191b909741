/** The process of a worker: its start, what it prints, how it ends. */
import { spawn, type ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import { PythonNotFoundError, WorkerStartError } from '../../errors.js'
import { OutputHub, type OutputEvents } from '../output.js'
import { LAST_BYTES_GRACE_MS, MAX_LAST_WORDS } from './constants.js'
import type { Launch } from './launch.js'
import { settlesWithin } from './waiting.js'

/** How a process ended: one of the two is null. */
export interface WorkerStatus {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

/** As the reference words it. */
export function statusText({ exitCode, signal }: WorkerStatus): string {
  return signal === null ? `exit status: ${exitCode ?? 'unknown'}` : `signal: ${signal}`
}

/**
 * A running child process. It leads its own process group: Ctrl-C in the terminal is for this
 * process to decide on, and what a worker has started ends with it. It is killed when this
 * environment ends.
 */
export class WorkerProcess {
  readonly pid: number
  /** Settles when the process has ended. Never rejects. */
  readonly exited: Promise<WorkerStatus>
  /** Settles when what it printed last has been given out, too. */
  readonly finished: Promise<void>
  readonly #child: ChildProcess
  readonly #output = new OutputHub()
  #hasExited = false
  #lastWords = ''

  /**
   * Starts the process. Throws {@link PythonNotFoundError} when there is no such executable,
   * {@link WorkerStartError} when the system refuses otherwise.
   */
  static async start(launch: Launch, emitter: EventEmitter<OutputEvents>): Promise<WorkerProcess> {
    try {
      const { command, args, env } = launch
      const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
      const child = spawn(command, args, { env, stdio, detached: true })
      const worker = new WorkerProcess(child, emitter)
      await once(child, 'spawn') // rejects on 'error'
      return worker
    } catch (cause) {
      throw spawnError(launch.command, cause as NodeJS.ErrnoException)
    }
  }

  private constructor(child: ChildProcess, emitter: EventEmitter<OutputEvents>) {
    this.#child = child
    this.pid = child.pid ?? 0
    this.exited = new Promise((resolve) => {
      child.once('exit', (exitCode, signal) => {
        this.#hasExited = true
        alive.delete(this)
        resolve({ exitCode, signal })
      })
    })
    this.finished = this.#giveOut(emitter)
    if (child.pid === undefined) return
    alive.add(this)
    killAtExit()
  }

  get hasExited(): boolean {
    return this.#hasExited
  }

  /** What it wrote to stderr last, for the end of a message: empty, or whole lines. */
  get lastWords(): string {
    const text = this.#lastWords.trimEnd()
    return text === '' ? '' : `\nIts last lines on stderr:\n${text}`
  }

  /** Ends the process and all that it has started and that stayed in its group. */
  kill(): void {
    if (this.#hasExited) return
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      this.#child.kill('SIGKILL')
    }
  }

  /** Gives out lines that have been printed in part. */
  flushOutput(): void {
    this.#output.flush()
  }

  /** Asks our worker to cancel the running call. */
  interrupt(): void {
    this.#child.kill('SIGINT')
  }

  /** While referenced, a process keeps Node running. */
  ref(): void {
    this.#child.ref()
  }

  unref(): void {
    this.#child.unref()
  }

  async #giveOut(emitter: EventEmitter<OutputEvents>): Promise<void> {
    const hub = this.#output
    hub.add(emitter)
    const streams = [this.#child.stdout, this.#child.stderr] as (Socket | null)[]
    for (const [index, stream] of streams.entries()) {
      stream?.unref()
      stream?.setEncoding('utf8').on('data', (text: string) => {
        if (index === 1) this.#lastWords = (this.#lastWords + text).slice(-MAX_LAST_WORDS)
        hub.write([index + 1, text])
      })
    }
    const closed = new Promise((resolve) => this.#child.once('close', resolve))
    await this.exited
    // Somebody else may hold the pipes open: a process that left the group.
    await settlesWithin(closed, LAST_BYTES_GRACE_MS)
    for (const stream of streams) stream?.destroy()
    hub.flush()
  }
}

function spawnError(command: string, cause: NodeJS.ErrnoException): Error {
  if (cause.code === 'ENOENT' || cause.code === 'EACCES') {
    return new PythonNotFoundError(
      `Cannot run the Python "${command}": ${cause.message}. Correct the path, or leave it out to ` +
        'search for a Python.',
      { cause },
    )
  }
  const remedy = cause.code === 'E2BIG' ? '; pass a large config as the path of a file' : ''
  return new WorkerStartError(`Cannot start a worker: ${cause.message}${remedy}`, { cause })
}

const alive = new Set<WorkerProcess>()
let killsAtExit = false

/** On the `exit` event, which is seen in a worker thread too, nothing can be waited for. */
function killAtExit(): void {
  if (killsAtExit) return
  killsAtExit = true
  process.on('exit', () => {
    for (const worker of alive) worker.kill()
  })
}
