/**
 * A process that works until it is killed, or checks what such a one has left; run.ts starts it.
 *
 * Arguments: `work` or `check`, the settings as JSON, and the folder. Reports go to file descriptor 3. Work ends
 * when standard input does. A check reads the promises from standard input.
 */
import { text } from 'node:stream/consumers'
import { CacheTarget } from './cache.js'
import { report, type Promises } from './promises.js'
import { Random } from './random.js'
import { StoreTarget } from './store.js'
import type { CrashSettings, CrashTarget } from './target.js'

const [task, json, folder = ''] = process.argv.slice(2)
const { target, ...settings } = JSON.parse(json ?? '{}') as CrashSettings & { target: string }
const made =
  target === 'store' ? new StoreTarget(folder, settings) : new CacheTarget(folder, settings)

async function work(one: CrashTarget): Promise<void> {
  const over = new AbortController()
  process.stdin.on('end', () => over.abort()).resume()
  const random = new Random(settings.seed + 7919 * settings.writer)
  report({ type: 'ready' })
  while (!over.signal.aborted) await one.step(random)
}

async function check(one: CrashTarget): Promise<void> {
  const promises = JSON.parse(await text(process.stdin)) as Promises
  for await (const problem of one.check(promises)) report({ type: 'problem', text: problem })
}

try {
  if (task === 'prepare') await made.prepare()
  else if (task === 'work') await work(made)
  else await check(made)
} catch (error) {
  const { stack = '', cause } = error as Error
  report({ type: 'problem', text: `${String(task)}: ${stack}\ncause: ${String(cause)}` })
}
