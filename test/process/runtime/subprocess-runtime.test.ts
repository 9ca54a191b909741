/** SubprocessRuntime: workloads in processes of their own, started, spoken to, cancelled and closed. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import {
  AbortError,
  ConfigError,
  findPython,
  RuntimeClosedError,
  SubprocessRuntime,
  ValueError,
  WorkerExitedError,
  type PyInput,
} from '../../../lib/index.js'
import { PythonNotFoundError, WorkerStartError } from '../../../lib/errors.js'
import { doing, returning, workloadRoot } from '../../support/workloads.js'
import { Folder } from '../../runtime/interpreters.js'
import { workersOf, untilGone } from '../../runtime/shared/processes.js'
import { aborted, describeRuntime, failure, plain } from '../../runtime/shared/runtime-suite.js'
import { pidOf, Runtimes, unembeddable } from '../../runtime/shared/subprocess-support.js'

describeRuntime('SubprocessRuntime', () => SubprocessRuntime.start())

describe('SubprocessRuntime', () => {
  const runtimes = new Runtimes()

  describe('start', () => {
    it('runs the Python that it says it runs', async () => {
      const session = await runtimes.open()
      const answer = await session.call('train_window', returning("{'at': sys.executable}"))
      assert.deepEqual(answer, { metrics: { at: (await findPython()).executable } })
    })

    it('runs a Python that is named although it cannot be embedded', async () => {
      const folder = await Folder.create()
      try {
        const python = await unembeddable(folder)
        const { code } = await failure(findPython({ python: python }))
        assert.equal(code, 'ERR_PYTHON_FREE_THREADED')
        const session = await runtimes.open({ python })
        assert.equal(session.workloadName, 'plain')
      } finally {
        await folder.remove()
      }
    })

    it('names the Python that does not exist', async () => {
      const error = await failure(runtimes.start({ python: '/no/such/python' }))
      assert.ok(error instanceof PythonNotFoundError)
      assert.match(error.message, /\/no\/such\/python/)
    })

    it('names every option that makes no sense', async () => {
      const options = { startTimeoutMs: 0, closeGraceMs: -1, abortGraceMs: NaN, maxFrameBytes: 7 }
      const error = await failure(runtimes.start(options))
      assert.ok(error instanceof ConfigError)
      const paths = error.issues.map(({ path }) => path)
      assert.deepEqual(paths, Object.keys(options))
    })
  })

  describe('openWorkload', () => {
    it('runs workloads in processes of their own, at the same time', async () => {
      const runtime = await runtimes.start()
      const sessions = await Promise.all([runtime.openWorkload(plain), runtime.openWorkload(plain)])
      await Promise.all(sessions.map((session) => session.call('init_model', { device: 'cpu' })))
      const pids = await Promise.all(sessions.map(pidOf))
      assert.equal(new Set([...pids, process.pid]).size, 3)
      // Each waits for the other, so that one after the other would not end.
      const folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
      try {
        const meeting = (own: string, other: string) =>
          doing(`import os
open(${JSON.stringify(join(folder, own))}, 'w').close()
while not os.path.exists(${JSON.stringify(join(folder, other))}): time.sleep(0.001)`)
        const [first, second] = sessions
        await Promise.all([
          first.call('train_window', meeting('a', 'b')),
          second.call('train_window', meeting('b', 'a')),
        ])
      } finally {
        await rm(folder, { recursive: true })
      }
    })

    it('gives two workloads what would contradict itself in one process', async () => {
      const env = { TORCHBED_TEST_COMMON: 'c', TORCHBED_TEST_OWN: 'x' }
      const runtime = await runtimes.start({ env })
      for (const own of ['a', 'b']) {
        const given = { TORCHBED_TEST_OWN: own, PYTHONHASHSEED: '7' }
        const session = await runtime.openWorkload({ ...plain, env: given })
        await session.call('init_model', { device: 'cpu' })
        const names = ['TORCHBED_TEST_COMMON', 'TORCHBED_TEST_OWN', 'PYTHONHASHSEED']
        const seen = `{n: __import__('os').environ[n] for n in ${JSON.stringify(names)}}`
        assert.deepEqual(await session.call('train_window', returning(seen)), {
          metrics: { TORCHBED_TEST_COMMON: 'c', TORCHBED_TEST_OWN: own, PYTHONHASHSEED: '7' },
        })
      }
    })

    it('finds its worker also when env replaces PYTHONPATH', async () => {
      const env = { PYTHONPATH: workloadRoot }
      const session = await (await runtimes.start()).openWorkload({ factory: plain.factory, env })
      assert.equal(session.workloadName, 'plain')
    })

    const unfit: [string, object, string, RegExp][] = [
      [
        'a search root that PYTHONPATH cannot hold',
        { moduleSearchRoots: [workloadRoot, `/a${delimiter}b`] },
        'moduleSearchRoots[1]',
        /rename the folder/,
      ],
      [
        'a config with bytes',
        { config: { seeds: [1, new Uint8Array(3)] } },
        'seeds[1]',
        /write them to a file and pass its path/,
      ],
      ['a factory with a NUL', { factory: 'plain:\0' }, 'factory', /"plain:\\u0000"/],
      ['a variable that has no name', { env: { 'A=B': 'c' } }, 'env["A=B"]', /"A=B"/],
    ]
    for (const [title, change, path, message] of unfit) {
      it(`refuses ${title}, with its place`, async () => {
        const runtime = await runtimes.start()
        const error = await failure(runtime.openWorkload({ ...plain, ...change }))
        assert.ok(error instanceof ValueError)
        assert.equal(error.path, path)
        assert.match(error.message, message)
      })
    }

    it('refuses a config beyond what a command line holds, with a remedy', async () => {
      const config = 'x'.repeat(4_000_000)
      const error = await failure((await runtimes.start()).openWorkload({ ...plain, config }))
      assert.ok(error instanceof WorkerStartError)
      assert.match(error.message, /E2BIG.*path of a file/)
    })

    it('says how the worker ended when the import ends it', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
      try {
        await writeFile(join(folder, 'ends_itself.py'), 'import os\nos._exit(9)\n')
        const spec = { factory: 'ends_itself:make', moduleSearchRoots: [folder] }
        const error = await failure((await runtimes.start()).openWorkload(spec))
        assert.ok(error instanceof WorkerExitedError)
        const status = 'read python rpc response open_workload (worker status: exit status: 9)'
        assert.equal(error.message, status)
        assert.deepEqual([error.exitCode, error.signal], [9, null])
      } finally {
        await rm(folder, { recursive: true })
      }
    })

    it('has no time limit for the import, as the worker connects before', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'torchbed-'))
      try {
        const module = 'import time\ntime.sleep(2)\nmake = lambda config: object()\n'
        await writeFile(join(folder, 'slow_import.py'), module)
        const spec = { factory: 'slow_import:make', moduleSearchRoots: [folder] }
        const session = await (await runtimes.start({ startTimeoutMs: 1900 })).openWorkload(spec)
        assert.equal(session.workloadName, 'object')
      } finally {
        await rm(folder, { recursive: true })
      }
    })

    it('is given up when the runtime is closed in the middle of it', async () => {
      const runtime = await runtimes.start()
      const opening = failure(runtime.openWorkload(plain))
      await runtime.close()
      assert.ok((await opening) instanceof RuntimeClosedError)
      assert.deepEqual(await workersOf(process.pid), [])
    })

    it('is given up at any moment when it is aborted, and leaves no process', async () => {
      const runtime = await runtimes.start()
      for (const afterMs of [0, 5, 20, 40, 60, 80, 100, 120]) {
        const opening = runtime.openWorkload(plain, { signal: AbortSignal.timeout(afterMs) })
        await opening.then(
          (session) => session.close(),
          (error: unknown) => assert.ok(error instanceof AbortError, String(error)),
        )
        assert.deepEqual(await workersOf(process.pid), [])
      }
    })
  })

  describe('the connection', () => {
    it('is taken from its own child alone, even if others come first', async () => {
      const folder = await Folder.create()
      try {
        const intruder = await folder.write('intruder.py', INTRUDER)
        const python = await unembeddable(folder, `"$python" '${intruder}' "$port" || exit 1`)
        const runtime = await runtimes.start({ python })
        const lines: string[] = []
        runtime.on('stdout', (line) => lines.push(line))
        const session = await runtime.openWorkload(plain)
        assert.equal(session.workloadName, 'plain')
        assert.deepEqual(lines, ['4 refused'])
      } finally {
        await folder.remove()
      }
    })

    it('does not listen any more once the worker is there', async () => {
      const session = await runtimes.open()
      const sockets = await readFile(`/proc/${process.pid}/net/tcp`, 'latin1')
      const port = `{'port': next(int(a[a.index('--connect-port') + 1]) for a in [sys.orig_argv])}`
      const answer = await session.call('train_window', returning(port))
      const number = Number((answer as { metrics: { port: bigint } }).metrics.port)
      const local = `:${number.toString(16).toUpperCase().padStart(4, '0')}`
      const LISTENING = '0A'
      const listening = sockets
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([, address, , state]) => address?.endsWith(local) && state === LISTENING)
      assert.deepEqual(listening, [])
    })

    it('does not show its token to the workload', async () => {
      const session = await runtimes.open()
      const names = `{'n': sum('TOKEN' in n and n.startswith('TORCHBED') for n in __import__('os').environ)}`
      assert.deepEqual(await session.call('train_window', returning(names)), { metrics: { n: 0n } })
    })
  })

  describe('call', () => {
    it('refuses bytes and keys that are no text, which JSON cannot carry', async () => {
      const session = await runtimes.open()
      const rows: [PyInput, string, RegExp][] = [
        [{ a: [new Uint8Array(1)] }, 'a[0]', /bytes cannot be passed to a worker process/],
        [{ a: new Float32Array(1) }, 'a', /bytes cannot be passed/],
        [{ a: new ArrayBuffer(1) }, 'a', /bytes cannot be passed/],
        [{ 'odd key': new Map([[1, 2]]) }, '["odd key"]', /a Map key that is a number/],
        [{ a: 10n ** 5000n }, 'a', /an integer of 5001 digits/],
      ]
      for (const [params, path, message] of rows) {
        const error = await failure(session.call('train_window', params))
        assert.ok(error instanceof ValueError)
        assert.equal(error.path, path)
        assert.match(error.message, message)
        assert.match(error.message, /^python rpc train_window failed: /)
      }
      assert.ok(await session.call('hello'))
    })

    it('carries large parameters and answers, and refuses those beyond the frame limit', async () => {
      const session = await runtimes.open({ maxFrameBytes: 1_000_000 })
      const large = 'é'.repeat(400_000)
      const echo = (text: string) =>
        session.call('train_window', {
          model_id: 'm1',
          batches: [{ payload: { return: `{'n': len(${JSON.stringify(text)})}` } }],
        })
      assert.deepEqual(await echo(large), { metrics: { n: 400_000n } })
      const error = await failure(echo(large + large))
      assert.ok(error instanceof ValueError)
      assert.match(error.message, /exceed the limit of 1000000 bytes.*raise maxFrameBytes/)
      const answer = await session.call('train_window', returning("{'x': 'y' * 900_000}"))
      assert.deepEqual(answer, { metrics: { x: 'y'.repeat(900_000) } })
    })

    it('gives out what is printed without a line end when the worker ends', async () => {
      const runtime = await runtimes.start()
      const lines: string[] = []
      runtime.on('stdout', (line) => lines.push(line))
      const session = await runtime.openWorkload(plain)
      await session.call('init_model', { device: 'cpu' })
      await session.call('train_window', doing("sys.stdout.write('no end')"))
      await session.close()
      assert.deepEqual(lines, ['no end'])
    })

    it('shows all that a call printed before its answer, however much it is', async () => {
      const runtime = await runtimes.start()
      let lines = 0
      runtime.on('stdout', () => (lines += 1))
      const session = await runtime.openWorkload(plain)
      await session.call('init_model', { device: 'cpu' })
      for (let i = 1; i <= 20; i++) {
        await session.call('train_window', doing("print('x' * 50 + '\\n' * 999)"))
        assert.equal(lines, 1000 * i)
      }
    })
  })

  describe('AbortSignal', () => {
    it('interrupts even a C call that Python can interrupt', async () => {
      const session = await runtimes.open()
      assert.ok((await aborted(session, 'time.sleep(30)', 50)) < 1000)
      assert.ok(await session.call('hello'))
    })

    it('cancels a call that is aborted in the very moment it is made', async () => {
      const session = await runtimes.open()
      for (let i = 0; i < 20; i++) {
        const controller = new AbortController()
        const { signal } = controller
        const call = session.call('train_window', doing('while True: pass'), { signal })
        controller.abort()
        assert.ok((await failure(call)) instanceof AbortError)
      }
    })

    it('is seen by torchbed.should_stop()', async () => {
      const session = await runtimes.open()
      const loop = `import torchbed
while not torchbed.should_stop():
  try: time.sleep(0.001)
  except KeyboardInterrupt: pass`
      assert.ok((await aborted(session, loop, 50)) < 1000)
      assert.ok(await session.call('hello'))
    })

    it('kills a worker that does not react in time, and says so afterwards', async () => {
      const session = await runtimes.open({ abortGraceMs: 200 })
      const pid = await pidOf(session)
      const deaf = 'while True:\n  try: time.sleep(1)\n  except BaseException: pass'
      const waiting = failure(
        delayed(20).then(() => session.call('train_window', doing('time.sleep(0)'))),
      )
      const took = await aborted(session, deaf, 100)
      assert.ok(took >= 190 && took < 1500, `${took} ms`)
      await untilGone(pid, 1000)
      assert.ok(session.closed)
      for (const error of [await waiting, await failure(session.call('hello'))]) {
        assert.ok(error instanceof RuntimeClosedError)
        assert.match(error.message, /train_window still ran 200 ms after it was aborted/)
      }
    })
  })

  describe('a crash', () => {
    it('is a typed error that says where, and this process lives on', async () => {
      const runtime = await runtimes.start()
      const session = await runtime.openWorkload(plain)
      await session.call('init_model', { device: 'cpu' })
      const crash = doing('import ctypes\nctypes.string_at(0)')
      const running = failure(session.call('train_window', crash))
      const waiting = failure(session.call('hello'))
      const error = await running
      assert.ok(error instanceof WorkerExitedError)
      assert.equal(error.signal, 'SIGSEGV')
      const [first, ...rest] = error.message.split('\n')
      assert.equal(first, 'read python rpc response train_window (worker status: signal: SIGSEGV)')
      assert.match(rest.join('\n'), /Segmentation fault.*plain\.py", line \d+ in train_window/s)
      for (const later of [await waiting, await failure(session.call('hello'))]) {
        assert.ok(later instanceof RuntimeClosedError)
        assert.equal(later.cause, error)
        assert.match(later.message, /the worker has ended.*SIGSEGV\)$/)
      }
      assert.ok(session.closed)
      session.releaseModel('m1')
      await session.close()
      const again = await runtime.openWorkload(plain)
      assert.ok(await again.call('init_model', { device: 'cpu' }))
    })

    it('between two calls is noticed without a call', async () => {
      const session = await runtimes.open()
      const pid = await pidOf(session)
      process.kill(pid, 'SIGKILL')
      while (!session.closed) await delayed(5)
      const error = await failure(session.call('hello'))
      assert.ok(error instanceof RuntimeClosedError)
      assert.match(error.message, /signal: SIGKILL/)
    })

    it('leaves no answer out that was sent before', async () => {
      for (let i = 0; i < 5; i++) {
        const session = await runtimes.open()
        const late = "threading.Timer(0.002, lambda: __import__('os')._exit(3)).start() or {'x': 1}"
        const params = returning(`[threading := __import__('threading'), ${late}][1]`)
        assert.deepEqual(await session.call('train_window', params), { metrics: { x: 1n } })
        while (!session.closed) await delayed(5)
      }
    })
  })

  describe('close', () => {
    it('lets the calls that were made end, runs exit functions, and leaves no process', async () => {
      const runtime = await runtimes.start()
      const lines: string[] = []
      runtime.on('stdout', (line) => lines.push(line))
      const session = await runtime.openWorkload(plain)
      await session.call('init_model', { device: 'cpu' })
      const pid = await pidOf(session)
      const register = "import atexit\natexit.register(print, 'at exit')\ntime.sleep(0.2)"
      const call = session.call('train_window', doing(register))
      await session.close()
      assert.deepEqual(await workersOf(process.pid), [])
      await assert.rejects(readFile(`/proc/${pid}/stat`))
      assert.ok(await call)
      assert.deepEqual(lines, ['at exit'])
    })

    it('kills a worker that does not end in time, and what hangs is a typed error', async () => {
      const session = await runtimes.open({ closeGraceMs: 200 })
      const hanging = failure(session.call('train_window', doing('while True: pass')))
      await delayed(50)
      const began = performance.now()
      await session.close()
      const took = performance.now() - began
      assert.ok(took >= 190 && took < 1500, `${took} ms`)
      const error = await hanging
      assert.ok(error instanceof RuntimeClosedError)
      assert.match(error.message, /it still ran 200 ms after the workload was closed/)
    })

    it('takes along the processes that a worker has started', async () => {
      const session = await runtimes.open({ closeGraceMs: 100 })
      const spawn = "__import__('subprocess').Popen(['sleep', '60']).pid"
      const answer = await session.call('train_window', returning(`{'pid': ${spawn}}`))
      const grandchild = Number((answer as { metrics: { pid: bigint } }).metrics.pid)
      void failure(session.call('train_window', doing('while True: pass')))
      await session.close()
      await untilGone(grandchild, 1000)
    })
  })
})

/** Connects with what is no token of any worker, and sees that none of it is taken. */
const INTRUDER = `import socket, struct, sys

def connect(body, length=None):
    intruder = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    intruder.sendall(struct.pack(">Q", len(body) if length is None else length) + body)
    return intruder

silent = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
refused = [connect(b""), connect(b'{"token":"0"}'), connect(b"x" * 80), connect(b"", 1 << 40)]
for intruder in refused:
    intruder.settimeout(10)
    try:
        assert intruder.recv(1) == b""
    except ConnectionError:
        pass
print(len(refused), "refused", flush=True)
`

function delayed(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
