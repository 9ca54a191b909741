/** Workers and the end of the process that owns them: real child processes, and their children. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { workloadRoot } from '../../support/workloads.js'
import { isRunning, untilGone } from '../../runtime/shared/processes.js'

const library = import.meta.resolve('../../../lib/index.js')

interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** The worker, as the module printed it. */
  readonly worker: number
}

/**
 * Runs a module in a process of its own that has a session of the plain workload in a worker.
 * `onReady` is called when it prints `ready`.
 */
async function ending(
  code: string,
  onReady?: (owner: ChildProcess) => void,
  options: object = {},
): Promise<End> {
  const prelude = `
    import { SubprocessRuntime } from ${JSON.stringify(library)}
    const runtime = await SubprocessRuntime.start(${JSON.stringify(options)})
    const session = await runtime.openWorkload({
      factory: 'plain:create_workload', moduleSearchRoots: [${JSON.stringify(workloadRoot)}] })
    await session.call('init_model', { device: 'cpu' })
    const window = (payload) =>
      session.call('train_window', { model_id: 'm1', batches: [{ payload }] })
    const run = (statement) => window({ do: statement })
    const pid = await window({ return: '{"pid": __import__("os").getpid()}' })
    console.log('worker ' + pid.metrics.pid)
  `
  const owner = spawn(process.execPath, ['--input-type=module', '--eval', prelude + code], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })
  let stdout = ''
  let stderr = ''
  let isReady = false
  owner.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (isReady || !stdout.includes('ready\n')) return
    isReady = true
    onReady?.(owner)
  })
  owner.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  return new Promise((resolve) => {
    owner.on('close', (exitCode, signal) => {
      const worker = Number(/^worker (\d+)$/m.exec(stdout)?.[1])
      const rest = stdout.replace(/^worker \d+\n/m, '')
      resolve({ code: exitCode, signal, stdout: rest, stderr, worker })
    })
  })
}

const busy = `run('print("ready")\\nwhile True: sum(range(1000))').catch(() => {})`
const deaf = `run('import ctypes; print("ready"); ctypes.PyDLL(None).sleep(60)').catch(() => {})`

describe('the end of a process that owns a worker', () => {
  it('comes by itself when the worker is idle, and ends the worker', async () => {
    const end = await ending('console.log("last line")')
    assert.deepEqual([end.code, end.stdout], [0, 'last line\n'], end.stderr)
    await untilGone(end.worker, 2000)
  })

  it('comes by itself while a model is being released', async () => {
    const end = await ending(`run('time.sleep(0.05)'); session.releaseModel('m1')`)
    assert.deepEqual([end.code, end.signal], [0, null], end.stderr)
    await untilGone(end.worker, 2000)
  })

  it('waits for a call that is pending, an aborted one too', async () => {
    const end = await ending(`
      run('time.sleep(0.3); print("computed")').then(() => console.log('answered'))
      const controller = new AbortController()
      const params = { model_id: 'm1', batches: [{ payload: { do: 'while True: pass' } }] }
      session.call('train_window', params, { signal: controller.signal })
        .catch((error) => console.log(error.code))
      setTimeout(() => controller.abort(), 400)`)
    const lines = 'computed\nanswered\nABORT_ERR\n'
    assert.deepEqual([end.code, end.stdout], [0, lines], end.stderr)
    await untilGone(end.worker, 2000)
  })

  it('waits for close, which ends the worker in order', async () => {
    const end = await ending(`
      await run('import atexit; atexit.register(print, "at exit")')
      session.close().then(() => console.log('closed'))`)
    assert.deepEqual([end.code, end.stdout], [0, 'at exit\nclosed\n'], end.stderr)
    assert.equal(await isRunning(end.worker), false)
  })

  it('has the exit code of process.exit() in the middle of a call, and kills the worker', async () => {
    const end = await ending(`${busy}; setTimeout(() => process.exit(5), 100)`)
    assert.deepEqual([end.code, end.signal], [5, null], end.stderr)
    await untilGone(end.worker, 1000)
  })

  it('has the exit code of an uncaught error, and kills the worker', async () => {
    const end = await ending(`${busy}; setTimeout(() => { throw new Error('boom') }, 100)`)
    assert.deepEqual([end.code, end.signal], [1, null], end.stderr)
    assert.match(end.stderr, /boom/)
    await untilGone(end.worker, 1000)
  })

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const [title, code] of [
      ['idle', `console.log('ready'); setTimeout(() => {}, 60_000)`],
      ['in a Python loop', busy],
      ['in C code that holds the GIL', deaf],
    ] as const) {
      it(`by ${signal} takes a worker with it that is ${title}`, async () => {
        const end = await ending(code, (owner) => owner.kill(signal))
        assert.deepEqual([end.code, end.signal], [null, signal], end.stderr)
        await untilGone(end.worker, 3000)
      })
    }
  }

  it('by SIGKILL takes an idle third-party worker with it', async () => {
    const code = `console.log('ready'); setTimeout(() => {}, 60_000)`
    const options = { module: 'reference_worker' }
    const end = await ending(code, (owner) => owner.kill('SIGKILL'), options)
    assert.equal(end.signal, 'SIGKILL')
    await untilGone(end.worker, 3000)
  })

  it('ends the workers of a worker thread with the thread', async () => {
    const inThread = `
      import { SubprocessRuntime } from ${JSON.stringify(library)}
      import { parentPort } from 'node:worker_threads'
      const runtime = await SubprocessRuntime.start()
      const session = await runtime.openWorkload({
        factory: 'plain:create_workload', moduleSearchRoots: [${JSON.stringify(workloadRoot)}] })
      await session.call('init_model', { device: 'cpu' })
      const batches = [{ payload: { return: '{"pid": __import__("os").getpid()}' } }]
      const { metrics } = await session.call('train_window', { model_id: 'm1', batches })
      parentPort.postMessage(metrics.pid)
      setTimeout(() => {}, 60_000)
    `
    const end = await ending(`
      import { Worker } from 'node:worker_threads'
      const thread = new Worker(${JSON.stringify(inThread)},
        { eval: true, execArgv: ['--input-type=module'] })
      const other = await new Promise((resolve) => thread.once('message', resolve))
      await thread.terminate()
      const { readFileSync } = await import('node:fs')
      const { setTimeout: delay } = await import('node:timers/promises')
      // Dead is Z as well: with its thread's event loop gone, nobody asks how it ended.
      const isAlive = () => {
        try { return !/\\) Z /.test(readFileSync('/proc/' + other + '/stat', 'latin1')) }
        catch { return false }
      }
      for (let i = 0; i < 200 && isAlive(); i++) await delay(10)
      console.log(isAlive() ? 'it lives' : 'it ended')
      console.log((await session.call('hello')).workload_name)`)
    assert.deepEqual([end.code, end.stdout], [0, 'it ended\nplain\n'], end.stderr)
  })

  it('is not decided by Ctrl-C in the terminal for its worker', async () => {
    // The terminal signals the whole foreground group: the owner handles it and lets the call end.
    const code = `
      process.on('SIGINT', () => console.log('handled'))
      run('print("ready")\\ntime.sleep(0.5)').then(() => console.log('trained'))`
    const end = await ending(code, (owner) => process.kill(owner.pid!, 'SIGINT'))
    assert.deepEqual([end.code, end.stdout], [0, 'ready\nhandled\ntrained\n'], end.stderr)
  })
})
