/** What an abort, a deadline, a close and the end of the process do to a hook that waits. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { EmbeddedRuntime, SubprocessRuntime } from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { doing } from '../support/workloads.js'
import { describeInterrupting } from './shared/interrupting-suite.js'
import { plain } from './shared/runtime-suite.js'
import { waiting, waits } from './shared/waits.js'

describeInterrupting('EmbeddedRuntime', () => EmbeddedRuntime.start())
describeInterrupting('SubprocessRuntime', () => SubprocessRuntime.start())

for (const runtime of ['EmbeddedRuntime', 'SubprocessRuntime']) {
  describe(`the end of the process in ${runtime}`, () => {
    for (const [wait, statement] of Object.entries(waits)) {
      it(`comes at once although a hook waits: ${wait}`, async () => {
        const program = `
          import { ${runtime} } from ${JSON.stringify(`${packageRoot()}/dist/lib/index.js`)}
          const runtime = await ${runtime}.start()
          const session = await runtime.openWorkload(${JSON.stringify(plain)})
          await session.call('init_model', { device: 'cpu' })
          const leave = () => {
            console.log(Date.now())
            process.exit(7)
          }
          const onProgress = () => setTimeout(leave, 30)
          await session.call('train_window', ${JSON.stringify(doing(waiting(statement)))}, { onProgress })`
        const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const said = text(child.stdout)
        const ended = await once(child, 'exit')
        const now = Date.now()
        assert.deepEqual(ended, [7, null])
        const took = now - Number(await said)
        // Of the 2 s that the end of the process waits for Python to come to rest.
        assert.ok(took < 1500, `${took} ms`)
      })
    }
  })
}
