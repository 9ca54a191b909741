/**
 * calls.js normal|low|subprocess TIMES
 *
 * For each line on stdin, makes so many calls that do nothing, one after the other, and prints the median
 * in milliseconds. `normal` and `low` are latencies of the embedded runtime.
 */

import { createInterface } from 'node:readline'
import { EmbeddedRuntime, SubprocessRuntime } from '../../lib/index.js'
import { medianOf } from '../measure.js'
import { quietWorkload } from '../workload.js'

const [way, times] = process.argv.slice(2)
const runtime =
  way === 'subprocess'
    ? await SubprocessRuntime.start()
    : await EmbeddedRuntime.start({ latency: way === 'low' ? 'low' : 'normal' })
const session = await runtime.openWorkload(quietWorkload)
await session.call('init_model', { device: 'cpu' })
console.log('ready')
const call = () => session.call('evaluate', { model_id: 'm1', split: 'Test' })
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
while ((await lines.next()).done !== true) console.log(await medianOf(call, Number(times)))
await runtime.close()
