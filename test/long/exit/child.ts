/**
 * A process that gets into a state and leaves in a way; cell.ts starts it and watches.
 *
 * Arguments: state, way, milliseconds from being ready to leaving, and a folder of its own. It writes
 * `READY` when the state is reached, with the processes it has started in a line before where there must be
 * some, and `LEAVING` at the moment of leaving. A signal comes from outside.
 */
import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { EmbeddedRuntime } from '../../../lib/index.js'
import { STATES, type Cell, type StateName, type WayName } from './cells.js'
import { enter, type Entered } from './states.js'
import { leftBehind } from '../processes.js'

/** How long the process waits for a signal before it fails. */
const ABANDONED_MS = 60_000

/** At once, and not through a stream that the end of the process could cut short. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}

async function inMainThread(cell: Cell, delayMs: number, folder: string): Promise<void> {
  const threaded = cell.way === 'terminate' || cell.state === 'worker'
  const worker = threaded
    ? new Worker(fileURLToPath(import.meta.url), { workerData: { cell, folder } })
    : undefined
  const entered = worker ? await enterInWorker(cell, worker) : await enter(cell, folder)
  if (cell.way === 'handler') {
    process.once('SIGTERM', () => {
      say('LEAVING')
      process.exit(7)
    })
  }
  if (STATES[cell.state].children > 0) {
    const children = await leftBehind(process.pid, `TORCHBED_EXIT_CELL=${folder}`)
    say(`CHILDREN ${JSON.stringify(children)}`)
  }
  say('READY')
  if (cell.way === 'natural') {
    await entered.work
    // The worker says it in its own time.
    if (worker === undefined) say('LEAVING')
  } else {
    setTimeout(() => leave(cell.way, entered, worker), delayMs)
  }
}

/** Resolves when the worker has reached the state. */
async function enterInWorker(cell: Cell, worker: Worker): Promise<Entered> {
  const runtime = cell.state === 'worker' ? await EmbeddedRuntime.start() : undefined
  await once(worker, 'message')
  const close = async () => {
    worker.postMessage('close')
    await once(worker, 'exit')
    await runtime?.close()
  }
  return { work: Promise.resolve(), close }
}

function leave(way: WayName, entered: Entered, worker: Worker | undefined): void {
  switch (way) {
    case 'natural':
      return
    case 'exit':
      say('LEAVING')
      return process.exit(7)
    case 'throw':
      say('LEAVING')
      throw new Error('leaving by an error')
    case 'reject':
      say('LEAVING')
      void Promise.reject(new Error('leaving by a rejection'))
      return
    case 'terminate':
      say('LEAVING')
      void worker?.terminate()
      return
    case 'close':
      void Promise.all([entered.close(), entered.work]).then(() => say('LEAVING'))
      return
    case 'sigint':
    case 'sigterm':
    case 'handler':
      void delay(ABANDONED_MS).then(() => {
        throw new Error('no signal came')
      })
  }
}

async function inWorker(cell: Cell, folder: string): Promise<void> {
  const entered = await enter(cell, folder)
  parentPort?.once('message', () => void entered.close())
  parentPort?.unref()
  parentPort?.postMessage('entered')
  if (cell.way === 'natural') {
    await entered.work
    say('LEAVING')
  }
}

if (isMainThread) {
  const [state, way, delayMs, folder] = process.argv.slice(2)
  const cell = { state: state as StateName, way: way as WayName }
  await inMainThread(cell, Number(delayMs), folder ?? '')
} else {
  const { cell, folder } = workerData as { cell: Cell; folder: string }
  await inWorker(cell, folder)
}
