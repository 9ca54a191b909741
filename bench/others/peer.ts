/** A bridge in a child process, as seen from the benchmark. */

import { fork, type ChildProcess } from 'node:child_process'
import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Places } from './bridge.js'
import type { Answer, Operation } from './operations.js'

/** How long one operation may take before the child counts as stuck, in milliseconds. */
export const ANSWER_TIMEOUT_MS = 60_000

type Message = { readonly ready: true } | { readonly answer: Answer } | { readonly error: string }

export class Peer {
  readonly name: string
  /** From the start of the process to the answer of the first call, in milliseconds. */
  readonly startupMs: number
  readonly #child: ChildProcess
  readonly #errors: () => string

  /**
   * Starts the bridge `name`. `path` is a folder to look for programs in before all others: a bridge
   * may ask `python3-config` where Python is. Rejects when the first call is not answered.
   */
  static async start(name: string, places: Places, path?: string): Promise<Peer> {
    const env = { ...process.env }
    if (path !== undefined) env.PATH = `${path}${delimiter}${env.PATH ?? ''}`
    const began = performance.now()
    const child = fork(
      fileURLToPath(new URL('child.js', import.meta.url)),
      [name, JSON.stringify(places)],
      {
        env,
        execArgv: [],
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      },
    )
    let errors = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-4000)
    })
    await message(child, name, () => errors)
    return new Peer(name, child, performance.now() - began, () => errors)
  }

  private constructor(name: string, child: ChildProcess, startupMs: number, errors: () => string) {
    this.name = name
    this.startupMs = startupMs
    this.#child = child
    this.#errors = errors
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null && !this.#child.killed
  }

  /** Rejects when the bridge fails, when the child ends, or after {@link ANSWER_TIMEOUT_MS}. */
  async ask(operation: Operation): Promise<Answer> {
    if (!this.alive) throw new Error(`${this.name} has ended`)
    const answered = message(this.#child, this.name, this.#errors)
    // A child that cannot be reached has ended, which `answered` says better.
    this.#child.send(operation, () => undefined)
    const answer = await answered
    if ('error' in answer) throw new Error(lastLine(answer.error))
    return 'answer' in answer ? answer.answer : {}
  }

  /** Ends the child, whatever it does. */
  async close(): Promise<void> {
    if (!this.alive) return
    // Unless it is stuck, a bridge ends its own children first.
    await this.ask({ kind: 'close' }).catch(() => undefined)
    const ended = new Promise((resolve) => this.#child.once('exit', resolve))
    // Not asked to leave by itself: how a bridge ends is not what is measured.
    this.#child.kill('SIGKILL')
    await ended
  }
}

/** The child's next message. A child that is late is killed. */
function message(child: ChildProcess, name: string, errors: () => string): Promise<Message> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      clearTimeout(timer)
      child.off('message', onMessage).off('exit', onExit)
    }
    const onMessage = (received: unknown) => {
      settle()
      resolve(received as Message)
    }
    const onExit = (code: number | null, signal: NodeJS.Signals | null) => {
      settle()
      const words = lastLine(errors())
      reject(
        new Error(`${name} ended with ${signal ?? `code ${String(code)}`}${words && `: ${words}`}`),
      )
    }
    const timer = setTimeout(() => {
      settle()
      child.kill('SIGKILL')
      reject(new Error(`${name} gave no answer within ${ANSWER_TIMEOUT_MS / 1000} s`))
    }, ANSWER_TIMEOUT_MS)
    child.on('message', onMessage).on('exit', onExit)
  })
}

/** What a traceback or a crash ends with. */
function lastLine(text: string): string {
  const lines = text.trim().split('\n')
  return (lines.at(-1) ?? '').trim()
}
