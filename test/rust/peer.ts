/** The Rust peer of test/peers/rust as a child process: configuration in, events out. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { afterTest, NETWORK, testFolder } from '../p2p/nodes.js'

interface Script {
  readonly rustPeerPath: () => Promise<string>
}

const script = join(packageRoot(), 'scripts', 'rust-peer.mjs')
const { rustPeerPath } = (await import(pathToFileURL(script).href)) as Script
const program = await rustPeerPath()

/** Runs tests with Rust peers; they are skipped, and say why, where the program was not built. */
export function rustDescribe(title: string, suite: (this: Mocha.Suite) => void): void {
  if (existsSync(program)) describe(title, suite)
  else describe.skip(`${title} (skipped: no Rust peer; npm run rust-peer builds it)`, suite)
}

/** No peer lives longer, whatever becomes of its test. */
const LIFETIME_MS = 120_000

export const STUDY = 'study-1'
export const EXPERIMENT = 'exp-1'
export const REVISION = 'rev-1'

/** What a peer says; the fields depend on the event. */
export interface PeerEvent {
  readonly event: string
  readonly at: string
  readonly [field: string]: unknown
}

/** What a Rust peer is told beside what all of a test have in common: `test/peers/rust/src/config.rs`. */
export interface RustOptions {
  readonly mode: 'validator' | 'trainer'
  /** Shared by the peers of a test; default: a folder of its own. */
  readonly dataset?: string
  readonly storage?: string
  readonly listen?: readonly string[]
  readonly bootstrap?: readonly string[]
  readonly windows?: number
  readonly learning_rate?: number
  readonly ballast_bytes?: number
  readonly chunk_bytes?: number
  readonly auth?: object
}

export class RustPeer {
  readonly events: PeerEvent[] = []
  readonly #child: ChildProcess
  readonly #waiting = new Set<() => void>()
  #stderr = ''
  #end: string | undefined

  private constructor(config: string) {
    this.#child = spawn(program, [config], { stdio: 'pipe', timeout: LIFETIME_MS })
    this.#child.stderr?.on('data', (text) => (this.#stderr += String(text)))
    this.#child.on('close', (code, signal) => {
      this.#end = `ended with ${signal ?? `exit code ${code}`}\n${this.#stderr}`
      this.#wake()
    })
    createInterface({ input: this.#child.stdout! }).on('line', (line) => {
      this.events.push(JSON.parse(line) as PeerEvent)
      this.#wake()
    })
  }

  /** Starts a peer, and waits until it listens. It ends with the test. */
  static async start(options: RustOptions): Promise<RustPeer> {
    const folder = await testFolder()
    const config = {
      network: NETWORK,
      ...{ study: STUDY, experiment: EXPERIMENT, revision: REVISION },
      storage: join(folder, 'storage'),
      dataset: join(folder, 'dataset'),
      ...options,
    }
    const path = join(folder, 'config.json')
    await writeFile(path, JSON.stringify(config))
    const peer = new RustPeer(path)
    afterTest(() => peer.stop())
    await peer.event('listening')
    return peer
  }

  get peerId(): string {
    return this.events.find(({ event }) => event === 'listening')?.peer as string
  }

  /** Where it listens, with its id. */
  get addresses(): string[] {
    const found = this.events.find(({ event }) => event === 'listening')?.addresses as string[]
    return found.map((address) => `${address}/p2p/${this.peerId}`)
  }

  /** The event of that name that fits, however long ago; waits for one that has not come yet. */
  async event(name: string, fits: (event: PeerEvent) => boolean = () => true): Promise<PeerEvent> {
    for (;;) {
      const found = this.events.find((event) => event.event === name && fits(event))
      if (found !== undefined) return found
      const failed = this.events.find(({ event }) => event === 'failed')
      if (failed !== undefined) throw new Error(`the Rust peer failed: ${String(failed.message)}`)
      if (this.#end !== undefined) throw new Error(`the Rust peer ${this.#end}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  send(command: object): void {
    this.#child.stdin?.write(`${JSON.stringify(command)}\n`)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Ends it as a user would, or at once when it does not end in time. */
  async stop(): Promise<void> {
    if (this.#end !== undefined) return
    this.#child.stdin?.end()
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 5000)
    await once(this.#child, 'close')
    clearTimeout(late)
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}
