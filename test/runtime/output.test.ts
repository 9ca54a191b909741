/** What Python prints, from Python to listeners, or to the process's own streams. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { EmbeddedRuntime, SubprocessRuntime } from '../../lib/index.js'
import { packageRoot } from '../../lib/runtime/package-root.js'
import { doing } from '../support/workloads.js'
import { describeOutput } from './shared/output-suite.js'
import { plain } from './shared/runtime-suite.js'

describeOutput('EmbeddedRuntime', () => EmbeddedRuntime.start())
describeOutput('SubprocessRuntime', () => SubprocessRuntime.start())

for (const runtime of ['EmbeddedRuntime', 'SubprocessRuntime']) {
  describe(`what Python prints in ${runtime} without a listener`, () => {
    const printed = (statements: string) => {
      const program = `
        import { ${runtime} } from ${JSON.stringify(`${packageRoot()}/dist/lib/index.js`)}
        const runtime = await ${runtime}.start()
        const session = await runtime.openWorkload(${JSON.stringify(plain)})
        await session.call('init_model', { device: 'cpu' })
        const run = (params) => session.call('train_window', params)
        ${statements}
        await runtime.close()`
      return spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
      })
    }
    const call = (statement: string) => `await run(${JSON.stringify(doing(statement))})`

    it('goes to the process unchanged, often and in small pieces, without a warning', () => {
      const { stdout, stderr } = printed(call('for i in range(400): print(i, end=" ", flush=True)'))
      assert.equal(stdout, Array.from({ length: 400 }, (_, i) => `${i} `).join(''))
      assert.equal(stderr, '')
    })

    it('is whole when listeners come and go in the middle of a line', () => {
      const { stdout } = printed(`
        let heard = ''
        const listen = (line, end) => (heard += line + end)
        ${call('print("a", end="", flush=True)')}
        runtime.on('stdout', listen)
        ${call('print("b\\nc", end="", flush=True)')}
        runtime.off('stdout', listen)
        ${call('print("d", flush=True)')}
        console.log(JSON.stringify(heard))`)
      assert.equal(stdout, 'ad\n"b\\nc"\n')
    })
  })
}
