import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  appendFile,
  chmod,
  chown,
  copyFile,
  mkdir,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import type { ProbedPython } from '../../lib/runtime/python/find-python.js'
import { MAX_KEPT_PROBES, probeFolder } from '../../lib/runtime/python/probe-cache.js'
import { Folder, python, supportedInterpreter } from './interpreters.js'

const FIND = new URL('../../lib/runtime/python/find-python.js', import.meta.url)
const EMBEDDED = new URL('../../lib/runtime/embedded/embedded-runtime.js', import.meta.url)
const COMMAND = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url))

const ASK = `
const { findPython } = await import(process.argv[1])
const options = { python: process.argv[2], fresh: process.argv[3] === 'fresh' }
console.log(JSON.stringify(await findPython(options)))
`
const START = `
const { EmbeddedRuntime } = await import(process.argv[1])
const runtime = await EmbeddedRuntime.start({ python: process.argv[2] })
console.log(runtime.python.version)
`

describe('what interpreters have said, kept on disk', function () {
  let folder: Folder
  let executable: string
  let env: NodeJS.ProcessEnv
  let cache: string
  let log: string

  before(async function () {
    if (process.platform === 'win32' || (await supportedInterpreter()) === null) this.skip()
  })

  /** A virtual environment that writes down each time that it is asked what it is. */
  beforeEach(async () => {
    folder = await Folder.create()
    executable = await folder.virtualEnvironment('env', (await supportedInterpreter())!)
    log = await folder.write('log', '')
    const packages = await python(
      executable,
      'import sysconfig; print(sysconfig.get_path("purelib"))',
    )
    const isAsked = `any('torchbed-probe:' in word for word in sys.orig_argv)`
    await writeFile(
      join(packages, 'sitecustomize.py'),
      `import sys\nif ${isAsked}: open(${JSON.stringify(log)}, 'a').write('.')\n`,
    )
    env = { ...process.env, XDG_CACHE_HOME: join(folder.path, 'cache') }
    delete env.TORCHBED_PROBE_CACHE
    delete env.LD_LIBRARY_PATH
    cache = join(folder.path, 'cache', 'torchbed')
  })
  afterEach(() => folder.remove())

  /** What a process of its own finds. */
  async function ask(path = executable, ...words: string[]): Promise<ProbedPython> {
    return JSON.parse(await inNode(ASK, FIND, path, ...words)) as ProbedPython
  }

  async function inNode(code: string, module: URL, ...args: string[]): Promise<string> {
    const words = ['--input-type=module', '-e', code, module.href, ...args]
    return (await promisify(execFile)(process.execPath, words, { env })).stdout
  }

  async function timesAsked(): Promise<number> {
    return (await readFile(log, 'utf8')).length
  }

  async function kept(): Promise<string[]> {
    return readdir(cache).catch(() => [])
  }

  async function keptFile(): Promise<string> {
    const [name, ...others] = await kept()
    assert.ok(name !== undefined && others.length === 0)
    return join(cache, name)
  }

  async function alter(change: (text: string) => string): Promise<void> {
    const path = await keptFile()
    const before = await readFile(path, 'utf8')
    const after = change(before)
    assert.notEqual(after, before)
    await writeFile(path, after)
  }

  it('asks an interpreter once, and the next process finds the same without asking', async () => {
    const first = await ask()
    assert.equal(first.executable, executable)
    assert.equal(await timesAsked(), 1)
    assert.deepEqual(await ask(), first)
    assert.equal(await timesAsked(), 1)
  })

  it('keeps its folder and its files to the user', async () => {
    await ask()
    assert.equal((await stat(cache)).mode & 0o777, 0o700)
    assert.equal((await stat(await keptFile())).mode & 0o777, 0o600)
  })

  it('neither reads nor writes when TORCHBED_PROBE_CACHE is 0', async () => {
    env.TORCHBED_PROBE_CACHE = '0'
    await ask()
    assert.deepEqual(await kept(), [])
    delete env.TORCHBED_PROBE_CACHE
    await ask()
    env.TORCHBED_PROBE_CACHE = '0'
    await ask()
    assert.equal(await timesAsked(), 3)
  })

  it('asks anew when it is told to', async () => {
    await ask()
    await ask(executable, 'fresh')
    assert.equal(await timesAsked(), 2)
  })

  it('asks anew in the doctor, in its own process and in that of the round trip', async function () {
    this.timeout(180_000)
    await ask()
    const words = [COMMAND, 'doctor', '--python', executable]
    // torch is not in this environment, which the doctor reports as a failure.
    const { stdout } = (await promisify(execFile)(process.execPath, words, { env }).catch(
      (error: unknown) => error,
    )) as { stdout: string }
    assert.match(stdout, /start +Python 3/)
    assert.equal(await timesAsked(), 3)
  })

  const changes: { title: string; change: () => void | Promise<void> }[] = [
    {
      title: 'the link at its path is made anew',
      change: async () => {
        const target = await realpath(executable)
        // Beside the old one, as the file system may give a freed inode to the next file.
        await symlink(target, `${executable}.new`)
        await rename(`${executable}.new`, executable)
      },
    },
    {
      title: 'pyvenv.cfg of its environment changes',
      change: () => appendFile(join(dirname(dirname(executable)), 'pyvenv.cfg'), '\n'),
    },
    {
      title: 'pyvenv.cfg has another time alone',
      change: () => utimes(join(dirname(dirname(executable)), 'pyvenv.cfg'), 1, 1),
    },
    {
      title: 'a variable of the dynamic loader changes',
      change: () => {
        env.LD_LIBRARY_PATH = folder.path
      },
    },
    {
      title: 'its shared library is not the one that was there',
      change: () => alter((text) => text.replace(/("library":")\d+ /, '$10 ')),
    },
    {
      title: 'its standard library is not the one that was there',
      change: () => alter((text) => text.replace(/("stdlib":")\d+ /, '$10 ')),
    },
    {
      title: 'its shared library is gone',
      change: () => alter((text) => text.replace(/("libpython":")/, '$1/nowhere')),
    },
  ]
  for (const { title, change } of changes) {
    it(`asks again when ${title}`, async () => {
      const first = await ask()
      await change()
      assert.deepEqual(await ask(), first)
      assert.equal(await timesAsked(), 2)
      await ask()
      assert.equal(await timesAsked(), 2, 'the new answer is kept')
    })
  }

  it('asks again when the program behind the link is replaced', async () => {
    await ask()
    const target = join(folder.path, 'python3')
    await copyFile(await realpath(executable), target)
    await rm(executable)
    await symlink(target, executable)
    await ask()
    assert.equal(await timesAsked(), 2)
    await copyFile(target, `${target}.new`)
    await chmod(`${target}.new`, 0o755)
    await rename(`${target}.new`, target)
    await ask()
    assert.equal(await timesAsked(), 3)
  })

  it('asks scripts each time', async () => {
    const script = await folder.script('python3', `exec '${executable}' "$@"`)
    await ask(script)
    await ask(script)
    assert.equal(await timesAsked(), 2)
    assert.deepEqual(await kept(), [])
  })

  it('asks scripts each time that answer with a path of their own', async () => {
    const script = await folder.script('python3', `exec -a "$0" '${executable}' "$@"`)
    const text = await readFile(script, 'utf8')
    await writeFile(script, text.replace('/bin/sh', '/bin/bash'))
    await ask(script).catch(() => undefined)
    assert.deepEqual(await kept(), [])
  })

  it('asks native programs each time that are no Python by name, as shims are', async () => {
    const shim = join(folder.path, 'manager')
    await copyFile(await realpath(executable), shim)
    await rm(executable)
    await symlink(shim, executable)
    await ask()
    await ask()
    assert.equal(await timesAsked(), 2)
    assert.deepEqual(await kept(), [])
  })

  it('ignores what is damaged, and replaces it', async function () {
    this.timeout(180_000)
    const first = await ask()
    const path = await keptFile()
    const good = await readFile(path)
    const damaged = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.nat(good.length - 1).map((length) => good.subarray(0, length)),
      fc.json().map((text) => Buffer.from(text)),
      fc.constant(Buffer.concat([good, Buffer.alloc(100_000, ' ')])),
    )
    await fc.assert(
      fc.asyncProperty(damaged, async (bytes) => {
        const before = await timesAsked()
        await writeFile(path, bytes)
        assert.deepEqual(await ask(), first)
        assert.equal(await timesAsked(), before + 1)
        assert.deepEqual(await readFile(path), good)
      }),
      { numRuns: 6 },
    )
  })

  it('ignores what others can write', async () => {
    await ask()
    await chmod(await keptFile(), 0o666)
    await ask()
    assert.equal(await timesAsked(), 2)
    await chmod(cache, 0o777)
    await ask()
    await ask()
    assert.equal(await timesAsked(), 4)
  })

  it('ignores what belongs to another user', async function () {
    if (process.getuid?.() !== 0) return this.skip()
    await ask()
    await chown(await keptFile(), 12345, 12345)
    await ask()
    assert.equal(await timesAsked(), 2)
    await chown(cache, 12345, 12345)
    await ask()
    await ask()
    assert.equal(await timesAsked(), 4)
  })

  it('does not follow a link in the place of an answer', async () => {
    await ask()
    const path = await keptFile()
    await rename(path, join(folder.path, 'elsewhere'))
    await symlink(join(folder.path, 'elsewhere'), path)
    await ask()
    assert.equal(await timesAsked(), 2)
  })

  it('works without a folder that can be written', async () => {
    await folder.write('file', '')
    env.XDG_CACHE_HOME = join(folder.path, 'file')
    const first = await ask()
    env.XDG_CACHE_HOME = '/proc'
    assert.deepEqual(await ask(), first)
    if (process.getuid?.() !== 0) {
      env.XDG_CACHE_HOME = join(folder.path, 'read-only')
      await mkdir(env.XDG_CACHE_HOME, { mode: 0o500 })
      assert.deepEqual(await ask(), first)
    }
    assert.ok((await timesAsked()) >= 2)
  })

  it('asks again when the library that was loaded is of another version than was kept', async () => {
    const { version } = await ask()
    await alter((text) => text.replace(`"version":"${version}"`, '"version":"3.11.99"'))
    assert.equal((await ask()).version, '3.11.99', 'the alteration is not seen in the files')
    assert.equal((await inNode(START, EMBEDDED, executable)).trim(), version)
    assert.equal(await timesAsked(), 2)
    assert.equal((await ask()).version, version)
    assert.equal(await timesAsked(), 2)
  })

  it('keeps the newest answers, and no others', async () => {
    await mkdir(cache, { recursive: true, mode: 0o700 })
    const old = Array.from({ length: MAX_KEPT_PROBES + 3 }, (_, index) =>
      join(cache, `python-${index.toString(16).padStart(64, '0')}.json`),
    )
    for (const [index, path] of old.entries()) {
      await writeFile(path, '')
      await utimes(path, 1000 + index, 1000 + index)
    }
    const other = join(cache, 'other.json')
    await writeFile(other, '')
    await ask()
    const left = await kept()
    assert.equal(left.length, MAX_KEPT_PROBES + 1)
    assert.ok(left.includes('other.json'))
    await ask()
    assert.equal(await timesAsked(), 1)
  })

  it('has its folder where the system wants it', () => {
    const home = { HOME: '/home/me' }
    assert.equal(probeFolder(home, 'linux'), '/home/me/.cache/torchbed')
    assert.equal(probeFolder({ ...home, XDG_CACHE_HOME: '/c' }, 'linux'), '/c/torchbed')
    assert.equal(probeFolder({ ...home, XDG_CACHE_HOME: 'c' }, 'linux'), '/home/me/.cache/torchbed')
    assert.equal(probeFolder(home, 'darwin'), '/home/me/Library/Caches/torchbed')
    assert.equal(probeFolder({}, 'linux'), null)
    assert.equal(probeFolder(home, 'win32'), null)
    assert.match(probeFolder({ LOCALAPPDATA: 'C:\\Local' }, 'win32') ?? '', /Local.torchbed.Cache$/)
  })
})
