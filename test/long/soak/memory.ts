/** What this process holds, once everything that can be freed was freed. Linux, and `--expose-gc`. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { WorkloadSession } from '../../../lib/index.js'
import type { Memory } from './items.js'

/** Finalizers run in a later turn and let go of more, so that one collection is not enough. */
const COLLECTIONS = 5

const PAUSE_MS = 20

/** `session` runs test/workloads/leaking.py in this process. */
export async function settledMemory(session: WorkloadSession): Promise<Memory> {
  const untrimmed = await collect(session)
  await session.call('settle')
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  const anonymous = kernelBytes('Anonymous')
  const trimmed = untrimmed - anonymous
  return { anonymous, resident: kernelBytes('Rss'), trimmed, heapUsed, arrayBuffers }
}

/** Collects garbage, and lets Python free what was dropped. */
async function collect(session: WorkloadSession): Promise<number> {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('Run this with --expose-gc')
  for (let i = 0; i < COLLECTIONS; i++) {
    gc()
    await delay(PAUSE_MS)
    // Python drains what was released around its calls.
    await session.call('hello')
  }
  return kernelBytes('Anonymous')
}

function kernelBytes(field: 'Anonymous' | 'Rss'): number {
  const rollup = readFileSync('/proc/self/smaps_rollup', 'latin1')
  const kibibytes = new RegExp(`^${field}: +(\\d+) kB$`, 'm').exec(rollup)?.[1]
  if (kibibytes === undefined) throw new Error(`/proc/self/smaps_rollup has no ${field}`)
  return Number(kibibytes) * 1024
}

export function openFiles(): number {
  return readdirSync('/proc/self/fd').length
}

/** Counts those of some objects that the garbage collector has not taken. */
export class Watch {
  alive = 0
  readonly #registry = new FinalizationRegistry<null>(() => (this.alive -= 1))

  /** Answers the object, which the watch does not keep. */
  see<T extends object>(object: T): T {
    this.alive += 1
    this.#registry.register(object, null)
    return object
  }
}
