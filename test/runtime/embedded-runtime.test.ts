/** EmbeddedRuntime: Python in this very process. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { EmbeddedRuntime, RuntimeConflictError, type WorkloadSession } from '../../lib/index.js'
import { doing, returning } from '../support/workloads.js'
import { interpreter } from './interpreters.js'
import { aborted, describeRuntime, failure, plain } from './shared/runtime-suite.js'

describeRuntime('EmbeddedRuntime', () => EmbeddedRuntime.start())

describe('EmbeddedRuntime', () => {
  let runtime: EmbeddedRuntime
  let session: WorkloadSession

  before(async () => {
    runtime = await EmbeddedRuntime.start()
    session = await runtime.openWorkload(plain)
    await session.call('init_model', { device: 'cpu' })
  })
  after(() => runtime.close())

  describe('start', () => {
    it('runs the Python that it says it runs', async () => {
      const answer = await session.call('train_window', returning("{'at': sys.executable}"))
      assert.deepEqual(answer, { metrics: { at: runtime.python.executable } })
    })

    it('shares the interpreter between runtimes', async () => {
      await using second = await EmbeddedRuntime.start()
      const other = await second.openWorkload(plain)
      await session.call('train_window', doing('sys.shared_by_test = 5'))
      await other.call('init_model', { device: 'cpu' })
      const answer = await other.call('train_window', returning("{'seen': sys.shared_by_test}"))
      assert.deepEqual(answer, { metrics: { seen: 5n } })
    })

    it('refuses another Python than the one that runs', async function () {
      const other =
        runtime.python.versionInfo[1] === 12 ? await interpreter('3.13') : await interpreter('3.12')
      if (other === null) return this.skip()
      const error = await failure(EmbeddedRuntime.start({ python: other }))
      assert.ok(error instanceof RuntimeConflictError)
      assert.match(error.message, /already runs/)
    })

    it('refuses env that contradicts what another workload was given', async () => {
      const open = (value: string) =>
        runtime.openWorkload({ ...plain, env: { TORCHBED_TEST_CONFLICT: value } })
      await (await open('a')).close()
      await (await open('a')).close()
      const error = await failure(open('b'))
      assert.equal(error.code, 'ERR_RUNTIME_CONFLICT')
      assert.match(error.message, /TORCHBED_TEST_CONFLICT/)
    })

    it('is shared by worker threads', async () => {
      const open = returning('{"n": len(sys.modules["torchbed.host"]._host._sessions)}')
      const before = await session.call('train_window', open)
      const worker = new Worker(
        `import { EmbeddedRuntime } from ${JSON.stringify(import.meta.resolve('../../lib/index.js'))}
         import { parentPort, workerData } from 'node:worker_threads'
         const runtime = await EmbeddedRuntime.start()
         const session = await runtime.openWorkload(workerData)
         await session.call('init_model', { device: 'cpu' })
         parentPort.postMessage(await session.call('hello'))`,
        { eval: true, workerData: plain, execArgv: ['--input-type=module'] },
      )
      const [messages] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
      assert.equal((messages as [{ workload_name: string }])[0].workload_name, 'plain')
      assert.ok(await session.call('hello'))
      // What the worker had opened went with it.
      assert.deepEqual(await session.call('train_window', open), before)
    })
  })

  describe('AbortSignal', () => {
    it('settles when a long C call returns', async () => {
      assert.ok((await aborted(session, 'time.sleep(0.4)', 50)) > 200)
    })
  })
})
