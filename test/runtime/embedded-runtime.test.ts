/** EmbeddedRuntime: Python in this very process. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import {
  EmbeddedRuntime,
  RuntimeClosedError,
  SubprocessRuntime,
  ValueError,
  type WorkloadSession,
} from '../../lib/index.js'
import { RuntimeConflictError } from '../../lib/errors.js'
import { findAddon } from '../../lib/runtime/embedded/addon-place.js'
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

    for (const [title, env] of [
      ['a number', { OMP_NUM_THREADS: 1 }],
      ['a name with "="', { 'A=B': 'c' }],
      ['a NUL character', { A: 'b\0c' }],
    ] as const) {
      it(`refuses ${title} in env and quotes it, whichever the runtime`, async () => {
        const options = { env: env as unknown as Record<string, string> }
        const [name] = Object.keys(env)
        const error = await failure(EmbeddedRuntime.start(options))
        assert.ok(error instanceof ValueError, String(error))
        assert.ok(error.message.includes(JSON.stringify(name)), error.message)
        await using other = await SubprocessRuntime.start(options)
        assert.equal((await failure(other.openWorkload(plain))).message, error.message)
      })
    }

    it('refuses an exitGraceMs that no timer has', async () => {
      for (const exitGraceMs of [-1, NaN, Infinity]) {
        const error = await failure(EmbeddedRuntime.start({ exitGraceMs }))
        assert.ok(error instanceof ValueError, String(error))
        assert.match(
          error.message,
          new RegExp(`exitGraceMs must be from 0 to .*, got ${exitGraceMs}`),
        )
      }
    })

    it('holds to the libpython that was opened, also when the bridge could not be', async () => {
      const program = `
        const loader = require(process.argv[1])
        const attempt = (path) => {
          try { return loader.load(path, '/nowhere/bridge.so') } catch ({ message }) { return message }
        }
        console.log(JSON.stringify([attempt(process.argv[2]), loader.loaded(), attempt('/other/libpython.so')]))`
      const { libpython } = runtime.python
      const args = ['-e', program, findAddon().path, libpython]
      const { stdout } = await promisify(execFile)(process.execPath, args)
      const [first, loaded, second] = JSON.parse(stdout) as string[]
      assert.match(first ?? '', /\/nowhere\/bridge\.so/)
      assert.equal(loaded, libpython)
      assert.equal(second, `this process already runs ${libpython}`)
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
      const open = returning('{"n": len(sys.modules["torchbed._host.host"]._host._sessions)}')
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
      assert.ok((await aborted(session, 'sum(range(50_000_000))', 50)) > 200)
    })
  })

  it('closed while a workload opens closes that, too', async () => {
    const other = await EmbeddedRuntime.start()
    const sessions = returning('{"n": len(sys.modules["torchbed._host.host"]._host._sessions)}')
    const before = await session.call('train_window', sessions)
    const opening = failure(other.openWorkload(plain))
    await other.close()
    assert.ok((await opening) instanceof RuntimeClosedError)
    assert.deepEqual(await session.call('train_window', sessions), before)
  })
})
