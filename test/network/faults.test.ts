/** Peers as processes on loopback, of which one is killed, or stopped for a while, in the middle of the training. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { mainProgram } from '../support/cli.js'
import { writeShards } from '../support/shards.js'
import { workloadRoot } from '../support/workloads.js'
import { afterTest, testFolder } from '../p2p/nodes.js'

type PeerEvent = Readonly<Record<string, unknown>>

/** No process lives longer, whatever becomes of its test. */
const LIFETIME_MS = 150_000

/** `torchbed node` with a role, which is the same peer when it is started again. */
class NodeProcess {
  readonly events: PeerEvent[] = []
  #child: ChildProcess | undefined
  #stderr = ''

  constructor(readonly args: readonly string[]) {
    afterTest(() => this.end('SIGKILL'))
  }

  start(): this {
    const child = spawn(process.execPath, [mainProgram, 'node', ...this.args, '--json'], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIFETIME_MS,
      killSignal: 'SIGKILL',
    })
    child.stderr.on('data', (text) => (this.#stderr += String(text)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      this.events.push(JSON.parse(line) as PeerEvent)
    })
    this.#child = child
    return this
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (child?.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGCONT')
    child.kill(signal)
    await once(child, 'exit')
  }

  /** The heads of each step that it worked on, or promoted, the last of each. */
  get worked(): Map<number, unknown> {
    const id = this.events.find(({ event }) => event === 'listening')?.peerId
    const own = this.events.filter(
      ({ event, by }) =>
        event === 'adopted' || event === 'resumed' || (event === 'promoted' && by === id),
    )
    return new Map(own.map(({ step, artifact }) => [Number(step), artifact]))
  }

  get step(): number {
    return Math.max(-1, ...this.worked.keys())
  }

  async reach(step: number): Promise<void> {
    while (this.step < step) {
      const error = this.events.find(({ event }) => event === 'error')
      if (error !== undefined) assert.fail(`${JSON.stringify(error)}\n${this.#stderr}`)
      await sleep(50)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

interface Network {
  readonly validator: NodeProcess
  readonly standby: NodeProcess
  readonly trainers: readonly NodeProcess[]
  readonly all: readonly NodeProcess[]
}

/** A validator, which is the bootstrap, a peer that stands by, and two trainers. */
async function network(): Promise<Network> {
  const folder = await testFolder()
  const root = join(folder, 'shards')
  await writeShards(root, 8, 16)
  const config = join(folder, 'torchbed.json')
  const runtime = {
    module_search_roots: [workloadRoot],
    workload_factory: 'momentum:create_workload',
  }
  const training = { network_id: 'faults', study_id: 'study', experiment_id: 'exp' }
  await writeFile(config, JSON.stringify({ runtime, dataset: { root }, training }))
  const address = `/ip4/127.0.0.1/tcp/${await freePort()}`
  const peer = (name: string, role: string, ...more: string[]) =>
    new NodeProcess([config, '--role', role, '--folder', join(folder, name), ...more]).start()
  const validator = peer('validator', 'validator', '--listen', address)
  await validator.reach(0)
  const join_ = ['--join', address]
  const standby = peer('standby', 'peer', ...join_)
  const trainers = [peer('a', 'trainer', ...join_), peer('b', 'trainer', ...join_)]
  const all = [validator, standby, ...trainers]
  await Promise.all(all.map((one) => one.reach(2)))
  return { validator, standby, trainers, all }
}

/** All go on, and none has worked on a head that another has not. */
async function converge(all: readonly NodeProcess[]): Promise<void> {
  const step = Math.max(...all.map((one) => one.step)) + 3
  await Promise.all(all.map((one) => one.reach(step)))
  const known = new Map<number, unknown>()
  for (const { worked } of all) {
    for (const [at, artifact] of worked) {
      assert.equal(known.get(at) ?? artifact, artifact, `two heads of step ${at}`)
      known.set(at, artifact)
    }
  }
}

describe('a network of which one peer', function () {
  this.timeout(140_000)

  for (const who of ['validator', 'trainer'] as const) {
    const victimOf = ({ validator, trainers }: Network) =>
      who === 'validator' ? validator : trainers[0]!

    it(`is killed, its ${who}, trains on, and takes it in again`, async () => {
      const peers = await network()
      const victim = victimOf(peers)
      await victim.end('SIGKILL')
      const others = peers.all.filter((one) => one !== victim)
      await converge(others)
      victim.start()
      await converge(peers.all)
    })

    it(`stands still for ten seconds, its ${who}, trains on, and takes it in again`, async () => {
      const peers = await network()
      const victim = victimOf(peers)
      victim.signal('SIGSTOP')
      await sleep(10_000)
      const others = peers.all.filter((one) => one !== victim)
      await converge(others)
      victim.signal('SIGCONT')
      await converge(peers.all)
    })
  }
})
