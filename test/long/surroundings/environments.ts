/** What a process does with several environments: worker threads, and a second copy of the package. */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { EmbeddedRuntime } from '../../../lib/index.js'
import type { Action } from './actions.js'
import { failure, open, type Outcome } from './session.js'
import type { WorkerTask } from './worker.js'

/** Longest time from `terminate()` to the answer of a call that was queued behind the terminated one. */
const TERMINATED_MS = 3000

const CALLS = 50

function thread(task: WorkerTask): Worker {
  const file = fileURLToPath(new URL('worker.js', import.meta.url))
  return new Worker(file, { workerData: task })
}

async function answerOf<T>(worker: Worker): Promise<T> {
  const [answer] = (await once(worker, 'message')) as [T]
  return answer
}

async function ended(worker: Worker): Promise<Outcome[]> {
  const [answer] = await Promise.all([answerOf<Outcome[]>(worker), once(worker, 'exit')])
  return answer
}

/** The interpreters that were seen, and how many calls had an answer of their own. */
function summary(groups: readonly (readonly Outcome[])[]): Outcome {
  const own = groups.map((group) => group.filter(({ call }, i) => Number(call) === i).length)
  const seen = new Set(groups.flat().map(({ interpreter }) => interpreter))
  return { interpreters: seen.size, own }
}

export const ENVIRONMENTS: Readonly<Record<string, Action>> = {
  /** The main thread and three workers call at once. */
  shared: async () => {
    const workers = [1, 2, 3].map(() => thread({ calls: CALLS }))
    const answers = workers.map(ended)
    const act = await open(await EmbeddedRuntime.start())
    const own = Array.from({ length: CALLS }, (_, call) => act('identify', { call }))
    return summary([await Promise.all(own), ...(await Promise.all(answers))])
  },

  /** Nobody has an interpreter before the workers, which start at once. */
  'workers-alone': async () => {
    const first = await Promise.all([1, 2].map(() => ended(thread({ calls: CALLS }))))
    const second = await ended(thread({ calls: CALLS }))
    return summary([...first, second])
  },

  'terminate-in-call': async () => {
    const act = await open(await EmbeddedRuntime.start())
    const worker = thread({ seconds: 15 })
    await once(worker, 'message')
    const behind = act('identify', { call: 0 })
    const began = performance.now()
    await worker.terminate()
    const { call } = await behind
    return { call, inTime: performance.now() - began < TERMINATED_MS }
  },

  /** The worker that started Python goes; another one, and the main thread, go on with it. */
  'terminate-starter': async () => {
    const worker = thread({ seconds: 15 })
    await once(worker, 'message')
    await worker.terminate()
    const answers = await ended(thread({ calls: 3 }))
    const act = await open(await EmbeddedRuntime.start())
    return summary([answers, [await act('identify', { call: 0 })]])
  },

  /** Twenty workers, each terminated somewhere on its way into a call. */
  'terminate-often': async () => {
    const act = await open(await EmbeddedRuntime.start())
    for (let i = 0; i < 20; i++) {
      const worker = thread({ seconds: 15 })
      await once(worker, 'online')
      await delay(i * 15)
      await worker.terminate()
    }
    return { call: (await act('identify', { call: 0 })).call }
  },

  'terminate-in-addon': async () => {
    const act = await open(await EmbeddedRuntime.start())
    for (let i = 0; i < 10; i++) {
      const worker = thread({ inAddon: true })
      await once(worker, 'message')
      await delay(i)
      await worker.terminate()
    }
    return { call: (await act('identify', { call: 0 })).call }
  },

  'copy-after': async () => {
    const act = await open(await EmbeddedRuntime.start())
    const second = await startCopy()
    return [second, { call: (await act('identify', { call: 0 })).call }]
  },

  'copy-at-once': async () => {
    const copies = [startOf(EmbeddedRuntime), startCopy()]
    const outcomes = await Promise.all(copies)
    return outcomes.map((one) => one.code ?? 'started').sort()
  },
}

async function startCopy(): Promise<Outcome> {
  const copy = (await import(
    process.env.TORCHBED_COPY ?? ''
  )) as typeof import('../../../lib/index.js')
  return startOf(copy.EmbeddedRuntime)
}

async function startOf(runtime: typeof EmbeddedRuntime): Promise<Outcome> {
  try {
    await runtime.start()
    return { started: true }
  } catch (error) {
    return failure(error)
  }
}
