/** A torch that is absent or broken; each is made in a virtual environment of its own. */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Folder, supportedInterpreter } from '../runtime/interpreters.js'
import { shellWord } from '../../lib/runtime/python/install-commands.js'
import { check, compile, doctor, fakeTorch } from '../process/cli/doctor-support.js'

const DEFINITION = 'int torch_needs_this(void) { return 1; }\n'

describe('torchbed doctor on torch', function () {
  this.timeout(60_000)
  let folder: Folder
  let executable: string

  before(async function () {
    if (process.platform === 'win32' || (await supportedInterpreter()) === null) this.skip()
  })
  beforeEach(async () => {
    folder = await Folder.create()
    executable = await folder.virtualEnvironment('.venv', (await supportedInterpreter())!)
  })
  afterEach(() => folder.remove())

  /** The virtual environment is found by itself, as .venv in the working folder. */
  const here = (...args: string[]) =>
    doctor(args, { cwd: folder.path, env: { PATH: '/usr/bin:/bin', LD_LIBRARY_PATH: '' } })

  it('says how to install a torch that is absent', async () => {
    const said = await here()
    const failure = check(said, 'torch')
    assert.equal(failure.code, 'ERR_TORCH_MISSING')
    assert.ok(failure.detail!.includes(`'torch' is not installed for ${executable}`))
    assert.equal(failure.remedy, `uv pip install --python '${executable}' torch`)
    assert.equal(check(said, 'end').status, 'ok')
  })

  it('proposes a virtual environment where the Python of the system refuses pip', async function () {
    const system = '/usr/bin/python3'
    if (!existsSync('/usr/lib/python3.11/EXTERNALLY-MANAGED')) return this.skip()
    const failure = (await here('--python', system)).checks.find(({ name }) => name === 'torch')
    if (failure?.status === 'ok') return this.skip()
    assert.equal(
      failure?.remedy,
      `${system} -m venv .venv && .venv/bin/python -m pip install torch`,
    )
  })

  it('names the library that a torch needs and that is gone', async function () {
    const torch = await fakeTorch(executable, 'from . import _C\n')
    const gone = join(folder.path, 'libtorch_gone.so')
    const built =
      (await compile(folder, gone, DEFINITION)) &&
      (await compile(folder, join(torch, '_C.so'), '', '-Wl,--no-as-needed', gone))
    if (!built) return this.skip()
    await rm(gone)
    const failure = check(await here(), 'torch')
    assert.equal(failure.code, 'ERR_TORCH_BROKEN')
    assert.match(failure.detail!, /libtorch_gone\.so: cannot open shared object file/)
    assert.match(failure.remedy!, /install .*--force-reinstall torch$/)
  })

  it('names a C++ library that is older than torch needs', async function () {
    const torch = await fakeTorch(executable, 'from . import _C\n')
    const script = await folder.write('versions', 'GLIBCXX_9.9.9 { global: torch_needs_this; };\n')
    const newer = join(folder.path, 'newer', 'libstdc++.so.6')
    const options = ['-Wl,-soname,libstdc++.so.6', `-Wl,--version-script=${script}`]
    const caller = 'int torch_needs_this(void); int f(void) { return torch_needs_this(); }\n'
    const built =
      (await compile(folder, newer, DEFINITION, ...options)) &&
      (await compile(folder, join(torch, '_C.so'), caller, newer))
    if (!built) return this.skip()
    const failure = check(await here(), 'torch')
    assert.equal(failure.code, 'ERR_TORCH_BROKEN')
    assert.match(failure.detail!, /`GLIBCXX_9\.9\.9' not found/)
    assert.match(failure.detail!, /the C\+\+ library that this process has loaded is older/)
    assert.match(failure.remedy!, /libstdc\+\+6|--force-reinstall torch/)
  })

  it('names a module of torch that is gone', async () => {
    await fakeTorch(executable, 'from . import _absent_part\n')
    const failure = check(await here(), 'torch')
    assert.equal(failure.code, 'ERR_TORCH_BROKEN')
    assert.match(failure.detail!, /_absent_part/)
  })

  it('names something else that is called torch', async () => {
    await fakeTorch(executable, 'light = True\n')
    const failure = check(await here(), 'torch')
    assert.equal(failure.code, 'ERR_TORCH_BROKEN')
    assert.match(failure.detail!, /torch\/__init__\.py is not PyTorch/)
  })

  it('outlives a torch that crashes, and says how and where', async () => {
    const crash = 'import os, signal, time\nos.kill(os.getpid(), signal.SIGSEGV)\ntime.sleep(60)\n'
    await fakeTorch(executable, crash)
    const failure = check(await here(), 'torch')
    assert.equal(failure.value, 'crashed: SIGSEGV')
    assert.match(failure.detail!, /ended with SIGSEGV while importing torch, saying\n/)
    assert.match(failure.detail!, /File ".*\/torch\/__init__\.py", line [23] in <module>/)
    assert.match(failure.remedy!, /--force-reinstall torch$/)
  })

  it('says with which exit code a torch left', async () => {
    await fakeTorch(executable, 'import os; os._exit(7)\n')
    assert.equal(check(await here(), 'torch').value, 'crashed: exit code 7')
  })

  it('ends a torch that hangs when the time is over', async () => {
    await fakeTorch(executable, 'import time; time.sleep(300)\n')
    const began = performance.now()
    const failure = check(await here('--timeout', '4'), 'torch')
    assert.ok(performance.now() - began < 20_000)
    assert.equal(failure.value, 'hangs')
    assert.match(failure.detail!, /did not end within 4 s while importing torch/)
    assert.equal(failure.remedy, 'npx torchbed doctor --timeout 20')
  })

  it('gives more time to the very Python that was asked for', async () => {
    await fakeTorch(executable, 'import time; time.sleep(300)\n')
    const failure = check(await here('--timeout', '2', '--python', executable), 'torch')
    assert.equal(
      failure.remedy,
      `npx torchbed doctor --python ${shellWord(executable)} --timeout 10`,
    )
  })

  it('has no remedy for a library that crashes while the process leaves, but its last lines', async () => {
    const crash = 'os.kill(os.getpid(), signal.SIGSEGV)'
    await fakeTorch(executable, `import atexit, os, signal; atexit.register(lambda: ${crash})\n`)
    const failure = check(await here(), 'end')
    assert.equal(failure.value, 'crashed: SIGSEGV')
    assert.match(
      failure.detail!,
      /ended with SIGSEGV at its end, saying\nFatal Python error: Segmentation/,
    )
    assert.equal(failure.remedy, undefined)
  })

  it('lets a torch that raises something else keep its error', async () => {
    await fakeTorch(executable, 'raise ValueError("odd")\n')
    const failure = check(await here(), 'torch')
    assert.equal(failure.code, 'ERR_HOOK_RAISED')
    assert.match(failure.detail!, /ValueError: odd/)
  })
})
