/**
 * first-call.js embedded|subprocess bare|torch
 *
 * Opens a workload, in this process or in a child, makes one call that does nothing, and prints when it
 * was answered: milliseconds since the epoch, as the parent's clock has them too.
 */

import { EmbeddedRuntime, SubprocessRuntime } from '../../lib/index.js'
import { benchWorkload, quietWorkload } from '../workload.js'

const [where, what] = process.argv.slice(2)
const runtime = await (where === 'embedded' ? EmbeddedRuntime : SubprocessRuntime).start()
const session = await runtime.openWorkload(what === 'torch' ? benchWorkload({}) : quietWorkload)
await session.call('hello', null)
console.log(Date.now())
await runtime.close()
