/** A peer of the swarm: the process that runs it, or ran it last, and what it has told. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { cli } from '../root.js'

/** One JSON line of `torchbed node --json`. */
export type PeerEvent = Readonly<Record<string, unknown>>

/** The event with which a peer ends. */
export interface PeerSummary {
  readonly step: number
  readonly accuracy: number | null
  readonly artifact: string
  readonly fetchedBytes: number
  readonly loopDelayP99Ms: number
  readonly idleLoopDelayP99Ms: number
}

export class Peer {
  hasEnded = false
  /** The step of the last head that it worked on. */
  step = 0
  summary: PeerSummary | undefined
  /** The artifact of the head of each step that it worked on in the end. */
  readonly worked = new Map<number, string>()
  /** Whether its process, which may have been started again, has come as far as the network. */
  isUp = false
  readonly #arguments: readonly string[]
  readonly #tell: (event: PeerEvent) => void
  #child: ChildProcess | undefined
  #isKilled = false
  #peerId: unknown
  #resolve: () => void = () => undefined
  readonly #ended = new Promise<void>((resolve) => (this.#resolve = resolve))

  constructor(
    readonly name: string,
    args: readonly string[],
    tell: (event: PeerEvent) => void,
  ) {
    this.#arguments = args
    this.#tell = tell
  }

  /** Starts its process, also after a kill: the folder makes it the same peer. */
  start(): void {
    this.#isKilled = false
    this.isUp = false
    const child = spawn(process.execPath, [cli, 'node', ...this.#arguments, '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#child = child
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.#take(JSON.parse(line) as PeerEvent)
    })
    child.on('close', () => {
      if (this.#isKilled) return
      this.hasEnded = true
      this.#resolve()
    })
  }

  /** As a machine that loses its power. */
  async kill(): Promise<void> {
    const child = this.#child
    if (child?.exitCode !== null) return
    this.#isKilled = true
    child.kill('SIGKILL')
    await once(child, 'exit')
    this.#tell({ event: 'killed' })
  }

  stop(): void {
    this.#child?.kill('SIGTERM')
  }

  /** When its process has ended otherwise than by a kill. */
  async ended(): Promise<void> {
    return this.#ended
  }

  #take(event: PeerEvent): void {
    if (event.event === 'listening') {
      this.#peerId = event.peerId
      this.isUp = true
    }
    const own = event.event === 'promoted' && event.by === this.#peerId
    if (own || event.event === 'adopted' || event.event === 'resumed') {
      const step = Number(event.step)
      this.step = Math.max(this.step, step)
      this.worked.set(step, String(event.artifact))
    }
    if (event.event === 'summary') this.summary = event as unknown as PeerSummary
    this.#tell(own ? { ...event, own } : event)
  }
}
