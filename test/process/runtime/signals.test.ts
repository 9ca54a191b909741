/** Signals that Node and a hook both handle. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import {
  DeadlineError,
  EmbeddedRuntime,
  HookRaisedError,
  type WorkloadSession,
} from '../../../lib/index.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { doing, returning, withTorch, workloadRoot } from '../../support/workloads.js'
import { failure, plain } from '../../runtime/shared/runtime-suite.js'

const linux = process.platform === 'linux' ? describe : describe.skip

linux('a hook that handles a signal', () => {
  let runtime: EmbeddedRuntime
  let session: WorkloadSession

  before(async () => {
    runtime = await EmbeddedRuntime.start()
    session = await runtime.openWorkload(plain)
    await session.call('init_model', { device: 'cpu' })
  })
  after(() => runtime.close())

  const run = (statement: string) => session.call('train_window', doing(statement))
  const count = async () => {
    const answer = await session.call('train_window', returning('{"n": len(sys.caught)}'))
    return (answer as { metrics: { n: bigint } }).metrics.n
  }
  const handle = (name: string) =>
    run(`
import signal
sys.caught = []
signal.signal(signal.${name}, lambda number, frame: sys.caught.append(number))`)

  it('does not keep Node from learning that a child process has ended', async () => {
    const before = spawn('sleep', ['0.2'])
    await handle('SIGCHLD')
    const after = spawn('true')
    await Promise.all([once(before, 'exit'), once(after, 'exit')])
    assert.ok((await count()) > 0n, 'Python learns it too')
    await run('import signal; signal.signal(signal.SIGCHLD, signal.SIG_DFL)')
    await once(spawn('true'), 'exit')
  })

  it('is called beside a listener of Node', async () => {
    const seen: string[] = []
    const listener = (name: string) => seen.push(name)
    process.on('SIGUSR2', listener)
    try {
      await handle('SIGUSR2')
      process.kill(process.pid, 'SIGUSR2')
      while (seen.length === 0) await delay(5)
      assert.deepEqual(seen, ['SIGUSR2'])
      assert.equal(await count(), 1n)
    } finally {
      process.off('SIGUSR2', listener)
    }
  })

  const limits = {
    'signal.alarm': 'signal.alarm(1)',
    'an interval timer': 'signal.setitimer(signal.ITIMER_REAL, 0.1)',
    'a signal to the process':
      'threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGALRM)).start()',
    'a signal to its own thread': `
main = threading.get_ident()
threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGALRM)).start()`,
  }
  for (const [name, start] of Object.entries(limits)) {
    it(`ends its waits by ${name}, as in Python alone`, async () => {
      const began = performance.now()
      const error = await failure(
        run(`
import os, signal, threading
def late(*_):
    assert threading.current_thread() is threading.main_thread()
    raise TimeoutError("late")
signal.signal(signal.SIGALRM, late)
${start}
time.sleep(20)`),
      )
      assert.ok(error instanceof HookRaisedError)
      assert.match(error.message, /TimeoutError: late/)
      assert.ok(performance.now() - began < 3000)
    })
  }

  for (const name of ['SIGALRM', 'SIGVTALRM', 'SIGPROF', 'SIGUSR2', 'SIGWINCH', 'SIGCHLD']) {
    it(`may use ${name}`, async () => {
      await handle(name)
      await run(`
import os, signal
os.kill(os.getpid(), signal.${name})
end = time.monotonic() + 10
while not sys.caught and time.monotonic() < end: time.sleep(0.001)
signal.signal(signal.${name}, signal.SIG_DFL)`)
      assert.ok((await count()) > 0n)
    })
  }

  it('learns of it by a file descriptor', async () => {
    await run(`
import os, signal, socket
reading, writing = socket.socketpair()
writing.setblocking(False)
before = signal.set_wakeup_fd(writing.fileno())
signal.signal(signal.SIGUSR2, lambda *_: None)
try:
    os.kill(os.getpid(), signal.SIGUSR2)
    reading.settimeout(10)
    assert reading.recv(1) == bytes([signal.SIGUSR2])
finally:
    signal.set_wakeup_fd(before)`)
  })

  it('cannot take the signal that ends calls', async () => {
    await run(`
import signal, _torchbed_bridge
own = _torchbed_bridge.interrupt_signal()
try: signal.signal(own, signal.SIG_DFL)
except OSError: pass
else: raise AssertionError
assert callable(signal.getsignal(own))`)
    const error = await failure(
      session.call('train_window', doing('time.sleep(20)'), { timeoutMs: 50 }),
    )
    assert.ok(error instanceof DeadlineError && !error.overdue)
  })

  it('stands alone where Node has none', async () => {
    await handle('SIGUSR2')
    process.kill(process.pid, 'SIGUSR2')
    await delay(20)
    assert.equal(await count(), 1n)
  })

  it('does not take Ctrl-C from a program that has no handler for it', async () => {
    const program = `
      import { EmbeddedRuntime } from ${JSON.stringify(`${packageRoot()}/dist/lib/index.js`)}
      const runtime = await EmbeddedRuntime.start()
      const session = await runtime.openWorkload(${JSON.stringify(plain)})
      await session.call('init_model', { device: 'cpu' })
      const statement = 'import signal; signal.signal(signal.SIGINT, lambda *_: None)'
      const batches = [{ payload: { do: statement } }]
      await session.call('train_window', { model_id: 'm1', batches })
      console.log('ready')
      setInterval(() => undefined, 1000)`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    assert.deepEqual(await once(child, 'exit'), [null, 'SIGINT'])
  })
  ;(withTorch ? it : it.skip)(
    'as a DataLoader with workers does, leaves child processes to Node',
    async () => {
      const loading = await runtime.openWorkload({
        factory: 'torch_state:create_workload',
        moduleSearchRoots: [workloadRoot],
      })
      const child = spawn('sleep', ['0.5'])
      const ended = once(child, 'exit')
      await loading.call('init_model', { device: 'cpu' })
      const statement = `
from torch.utils.data import DataLoader
assert sum(len(batch) for batch in DataLoader(list(range(8)), num_workers=1)) == 8`
      await loading.call('train_window', doing(statement))
      await ended
      await loading.close()
    },
  )
})
