/** How a process with Python in it ends: real child processes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { workloadRoot } from '../../support/workloads.js'

const library = import.meta.resolve('../../../lib/index.js')

interface End {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
  ms: number
}

/** Runs a module in a process of its own that has a session of the plain workload. */
async function ending(
  code: string,
  during?: (child: ReturnType<typeof spawn>) => void,
): Promise<End> {
  const prelude = `
    import { EmbeddedRuntime } from ${JSON.stringify(library)}
    const runtime = await EmbeddedRuntime.start()
    const session = await runtime.openWorkload({
      factory: 'plain:create_workload', moduleSearchRoots: [${JSON.stringify(workloadRoot)}] })
    await session.call('init_model', { device: 'cpu' })
    const run = (statement) =>
      session.call('train_window', { model_id: 'm1', batches: [{ payload: { do: statement } }] })
  `
  const child = spawn(process.execPath, ['--input-type=module', '--eval', prelude + code], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (stdout.includes('ready')) during?.(child)
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const began = performance.now()
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`the process did not end\n${stdout}\n${stderr}`))
    }, 20_000)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr, ms: performance.now() - began })
    })
  })
}

const endless = 'while True: sum(range(1000))'

describe('the end of a process', () => {
  it('comes by itself when the runtime is idle', async () => {
    const end = await ending('console.log("last line")')
    assert.deepEqual([end.code, end.stdout], [0, 'last line\n'], end.stderr)
  })

  it('waits for a call that is pending', async () => {
    const end = await ending(
      `run('time.sleep(0.3); print("computed")').then(() => console.log('answered'))`,
    )
    assert.deepEqual([end.code, end.stdout], [0, 'computed\nanswered\n'], end.stderr)
  })

  it('has the exit code of process.exit() in the middle of a Python loop, every time', async () => {
    for (let i = 0; i < 5; i++) {
      const end = await ending(`
        run(${JSON.stringify(endless)}).catch(() => {})
        setTimeout(() => process.exit(5), 20 + ${i * 7})`)
      assert.deepEqual([end.code, end.signal], [5, null], end.stderr)
    }
  })

  it('has the exit code of process.exit() inside a long C call', async () => {
    const end = await ending(`
      run('time.sleep(30)').catch(() => {})
      setTimeout(() => process.exit(7), 50)`)
    assert.deepEqual([end.code, end.signal], [7, null], end.stderr)
    assert.ok(end.ms < 6000, `${end.ms} ms`)
  })

  it('has the exit code of process.exit() although the hook swallows the cancellation', async () => {
    const stubborn = 'while True:\n  try: time.sleep(0.01)\n  except BaseException: pass'
    const end = await ending(`
      run(${JSON.stringify(stubborn)}).catch(() => {})
      setTimeout(() => process.exit(6), 50)`)
    assert.deepEqual([end.code, end.signal], [6, null], end.stderr)
  })

  it('has exit code 1 after an uncaught error in the middle of a Python loop', async () => {
    const end = await ending(`
      run(${JSON.stringify(endless)}).catch(() => {})
      setTimeout(() => { throw new Error('uncaught') }, 50)`)
    assert.deepEqual([end.code, end.signal], [1, null])
    assert.match(end.stderr, /Error: uncaught/)
  })

  it('is by signal on Ctrl-C without a handler', async () => {
    let sent = false
    const end = await ending(
      `console.log('ready'); run(${JSON.stringify(endless)}).catch(() => {})`,
      (child) => {
        if (!sent) sent = child.kill('SIGINT')
      },
    )
    assert.deepEqual([end.code, end.signal], [null, 'SIGINT'], end.stderr)
  })

  it("runs Python's atexit functions and shows what they print", async () => {
    const end = await ending(`
      await run('import atexit; atexit.register(print, "goodbye"); print("part", end="")')
      process.exit(3)`)
    assert.deepEqual([end.code, end.stdout], [3, 'partgoodbye\n'], end.stderr)
  })

  it('does not wait for a Python thread that runs on', async () => {
    const end = await ending(`
      await run('import threading; threading.Thread(target=time.sleep, args=(30,)).start()')
      process.exit(4)`)
    assert.deepEqual([end.code, end.signal], [4, null], end.stderr)
    assert.ok(end.ms < 6000, `${end.ms} ms`)
  })

  it('of a worker thread in mid-call leaves the process and Python alive', async () => {
    const worker = `
      import { EmbeddedRuntime } from ${JSON.stringify(library)}
      import { parentPort } from 'node:worker_threads'
      const runtime = await EmbeddedRuntime.start()
      const session = await runtime.openWorkload({
        factory: 'plain:create_workload', moduleSearchRoots: [${JSON.stringify(workloadRoot)}] })
      await session.call('init_model', { device: 'cpu' })
      session.call('train_window', { model_id: 'm1', batches: [{ payload: { do: 'while True: pass' } }] })
      parentPort.postMessage('training')`
    const end = await ending(`
      import { Worker } from 'node:worker_threads'
      const worker = new Worker(${JSON.stringify(worker)}, { eval: true, execArgv: ['--input-type=module'] })
      await new Promise((resolve) => worker.once('message', resolve))
      await worker.terminate()
      await run('print("alive")')`)
    assert.deepEqual([end.code, end.stdout], [0, 'alive\n'], end.stderr)
  })
})
