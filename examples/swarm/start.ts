/**
 * `npm run swarm`: peers of a network as processes on this machine train the digits example. Each is `torchbed node --role
 * peer`: it trains, and validates when those before it are silent. With `--kill`, one after the other is killed and started
 * again meanwhile.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { projectRoot } from '../root.js'
import { Peer } from './peer.js'

interface SwarmOptions {
  readonly peers: number
  readonly windows: number
  readonly kill?: true
  readonly json?: true
  readonly out: string
}

/** A peer that has not ended by then never will. */
const LIMIT_MS = 300_000

/** Pauses between two kills, and between a kill and the restart, in milliseconds, at least and at most. */
const BETWEEN_KILLS_MS = [2000, 5000] as const
const BEFORE_RESTART_MS = [200, 1500] as const

process.chdir(projectRoot)
const python = join('.venv', process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python')
const config = join('examples', 'digits', 'config.json')

const program = new Command('swarm')
  .description('Trains the digits example with peers of a network, a process each.')
  .option('--peers <n>', 'how many', count, 4)
  .option('--windows <n>', 'windows to train', count, 12)
  .option('--kill', 'kill peers at random and start them again meanwhile')
  .option('--out <dir>', "folder of the peers' folders, emptied first", join('out', 'swarm'))
  .option('--json', 'print one JSON event a line')
  .action(async (options: SwarmOptions) => {
    process.exitCode = await swarm(options)
  })
await program.parseAsync()

async function swarm(options: SwarmOptions): Promise<number> {
  const { windows, out, json } = options
  await rm(out, { recursive: true, force: true })
  await mkdir(out, { recursive: true })
  await makeDataset()
  const say = (event: object) => {
    if (json) process.stdout.write(`${JSON.stringify(event)}\n`)
  }
  const ports = await freePorts(options.peers)
  const addresses = ports.map((port) => `/ip4/127.0.0.1/tcp/${port}`)
  const peers = addresses.map((address, index) => {
    const name = `peer-${index + 1}`
    const others = addresses.filter((other) => other !== address)
    const network = ['--network', 'swarm', '--listen', address, '--join', ...others]
    const role = ['--role', 'peer', '--folder', join(out, name)]
    return new Peer(name, [config, ...role, ...network, '--python', python], (event) => {
      say({ peer: name, ...event })
      if (!json) show(name, event)
    })
  })
  const stop = () => peers.forEach((peer) => peer.stop())
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  const limit = setTimeout(stop, LIMIT_MS)
  const began = performance.now()
  peers.forEach((peer) => peer.start())
  const kills = options.kill ? killAtRandom(peers, windows) : Promise.resolve(0)
  // Those that are there go on until the last has caught up.
  const isDone = () => peers.every(({ step, hasEnded }) => step >= windows || hasEnded)
  while (!isDone()) await sleep(100)
  await kills
  stop()
  await Promise.all(peers.map((peer) => peer.ended()))
  clearTimeout(limit)
  const summary = summaryOf(peers, await kills, (performance.now() - began) / 1000)
  say({ event: 'summary', ...summary })
  if (!json) {
    console.log('')
    for (const [name, value] of Object.entries(summary)) console.log(`${name.padEnd(20)} ${value}`)
  }
  return peers.every(({ step }) => step >= windows) && summary.divergent === 0 ? 0 : 1
}

/** Kills one peer after the other and starts it again, until half of the windows are done; the number of kills. */
async function killAtRandom(peers: readonly Peer[], windows: number): Promise<number> {
  const between = ([least, most]: readonly [number, number]) =>
    least + Math.random() * (most - least)
  const isOver = () => peers.some(({ step, hasEnded }) => hasEnded || step >= windows)
  const untilOver = async (isReady: () => boolean) => {
    while (!isReady() && !isOver()) await sleep(100)
  }
  let kills = 0
  // Not before they have something to lose.
  await untilOver(() => peers.every(({ step }) => step >= 1))
  while (!isOver()) {
    const victim = peers[Math.floor(Math.random() * peers.length)]
    if (victim === undefined) break
    await victim.kill()
    kills += 1
    await sleep(between(BEFORE_RESTART_MS))
    victim.start()
    // One at a time: half of them have to be there.
    await untilOver(() => victim.isUp)
    const until = performance.now() + between(BETWEEN_KILLS_MS)
    await untilOver(() => performance.now() >= until)
  }
  return kills
}

function summaryOf(peers: readonly Peer[], kills: number, seconds: number) {
  const ends = peers.flatMap(({ summary }) => summary ?? [])
  return {
    accuracy: ends[0]?.accuracy ?? null,
    heads: Math.max(0, ...ends.map(({ step }) => step)),
    peers: ends.length,
    kills,
    divergent: divergent(peers),
    /** That those fetched that were there at the end, each since its last start. */
    bytes: ends.reduce((sum, { fetchedBytes }) => sum + fetchedBytes, 0),
    seconds: Math.round(seconds * 10) / 10,
    loopDelayP99Ms: Math.max(0, ...ends.map(({ loopDelayP99Ms }) => loopDelayP99Ms)),
    idleLoopDelayP99Ms: Math.max(0, ...ends.map(({ idleLoopDelayP99Ms }) => idleLoopDelayP99Ms)),
  }
}

/** Peers that worked on another head of some step than a peer before them. */
function divergent(peers: readonly Peer[]): number {
  const common = new Map<number, string>()
  return peers.filter(({ worked }) => {
    let isOther = false
    for (const [step, artifact] of worked) {
      const known = common.get(step)
      if (known === undefined) common.set(step, artifact)
      else if (known !== artifact) isOther = true
    }
    return isOther
  }).length
}

/** One line for what a person wants to see of a peer. */
function show(name: string, event: Readonly<Record<string, unknown>>): void {
  const number = (value: unknown) => (typeof value === 'number' ? value.toFixed(4) : '')
  const metrics = (event.metrics ?? {}) as Readonly<Record<string, unknown>>
  const texts: Readonly<Record<string, () => string | undefined>> = {
    start: () => 'has started',
    window: () => `trained window ${String(event.window)}  loss ${number(metrics.loss)}`,
    resumed: () => `goes on from step ${String(event.step)}`,
    killed: () => 'was killed',
    overtaken: () => `left window ${String(event.window)}: the others were faster`,
    dropped: () => `leaves out ${String(event.peer_id).slice(-8)}: ${String(event.message)}`,
    error: () => `${String(event.code)}: ${String(event.message)}`,
    promoted: () =>
      event.own === true
        ? `promoted step ${String(event.step)}  accuracy ${number(metrics.accuracy)}`
        : undefined,
  }
  const text = texts[String(event.event)]?.()
  if (text !== undefined) console.log(`${name}  ${text}`)
}

async function makeDataset(): Promise<void> {
  const script = join('examples', 'digits', 'prepare.py')
  const child = spawn(python, [script], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`${script} ended with exit code ${code}`)
}

/** Ports that were free a moment ago: a peer that starts again has to have the address that the others know. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1')
      await once(server, 'listening')
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(async (server) => once(server.close(), 'close')))
  return ports
}

function count(text: string): number {
  const number = Number(text)
  if (Number.isSafeInteger(number) && number >= 1 && number <= 64) return number
  throw new InvalidArgumentError('expected an integer from 1 to 64')
}
