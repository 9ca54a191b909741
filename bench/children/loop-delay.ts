/**
 * loop-delay.js MEGABYTES IDLE_SECONDS BUSY_SECONDS FOLDER
 *
 * Prints {"idle": …, "busy": …, "windows", "publishes", "loads"} as JSON: how long the event loop of this
 * process waits while nothing happens, and while one project trains the digits and another publishes and
 * loads its weights over and over. All in milliseconds between two ticks of a timer that is due every
 * millisecond; that millisecond is in the numbers.
 */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { EmbeddedRuntime } from '../../lib/index.js'
import { FsArtifactStore } from '../../lib/store/index.js'
import { digitsExample } from '../examples.js'
import { openProject, openWeights, publish } from '../project.js'

const [megabytes, idleSeconds, busySeconds] = process.argv.slice(2, 5).map(Number) as [
  number,
  number,
  number,
]
const folder = process.argv[5] ?? ''

await using runtime = await EmbeddedRuntime.start()
// Windows of some 0.1 s: Python calls take turns, and this is how long the others wait for theirs.
const example = await digitsExample(runtime.python.executable, { threads: 1, epochs_per_window: 4 })
await using trainer = await openProject(runtime, example.workload)
await using weights = await openWeights(runtime, megabytes)
const trained = await trainer.initModel()
const model = await weights.initModel()

let windows = 0
async function train(): Promise<void> {
  await trainer.trainWindow({ model: trained, batches: example.batches })
  windows++
}

let publishes = 0
let loads = 0
async function publishAndLoad(): Promise<void> {
  // A store of its own each time: one that has the chunks would not write them again.
  const store = new FsArtifactStore(join(folder, String(publishes)))
  const artifact = await publish(weights, model, store)
  publishes++
  await weights.loadModelArtifact(model, artifact, store)
  loads++
  await rm(store.root, { recursive: true })
}

// First runs compile, allocate and start threads.
await Promise.all([train(), publishAndLoad()])
windows = publishes = loads = 0
const idle = await delayDuring(() => sleep(idleSeconds * 1000))
const busy = await delayDuring(async () => {
  const end = performance.now() + busySeconds * 1000
  const untilEnd = async (work: () => Promise<void>) => {
    while (performance.now() < end) await work()
  }
  await Promise.all([untilEnd(train), untilEnd(publishAndLoad)])
})
console.log(JSON.stringify({ idle, busy, windows, publishes, loads }))

async function delayDuring(work: () => Promise<unknown>) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  const began = performance.now()
  await work()
  const seconds = (performance.now() - began) / 1000
  // A stall shows when the timer fires after it.
  await sleep(10)
  histogram.disable()
  const milliseconds = (nanoseconds: number) => nanoseconds / 1e6
  return {
    p50: milliseconds(histogram.percentile(50)),
    p99: milliseconds(histogram.percentile(99)),
    max: milliseconds(histogram.max),
    seconds,
  }
}
