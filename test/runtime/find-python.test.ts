import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, readFile, realpath, rm, symlink } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import fc from 'fast-check'
import {
  PythonFreeThreadedError,
  PythonNotFoundError,
  PythonSharedLibraryError,
  PythonTooOldError,
} from '../../lib/errors.js'
import { findPython, probePython, searchPythons } from '../../lib/runtime/python/find-python.js'
import { Folder, interpreter, python, supportedInterpreter } from './interpreters.js'

const LIBRARY_VERSION = `
import ctypes, sys
library = ctypes.CDLL(sys.argv[1])
library.Py_GetVersion.restype = ctypes.c_char_p
print(library.Py_GetVersion().decode().split()[0])
`
const HAS_MAPPED_LIBRARY = `print('/libpython' in open('/proc/self/maps').read())`

describe('finding Python', function () {
  let folder: Folder
  let real: string

  before(async function () {
    if (process.platform === 'win32') this.skip()
    const found = await supportedInterpreter()
    if (found === null) this.skip()
    real = found
  })
  beforeEach(async () => {
    folder = await Folder.create()
  })
  afterEach(() => folder.remove())

  /** An environment in which only the given folders are on PATH and nothing names a Python. */
  function bare(...path: string[]): NodeJS.ProcessEnv {
    return { PATH: path.join(delimiter) }
  }

  describe('what it says of an interpreter', () => {
    for (const version of ['3.11', '3.12', '3.13', '3.14']) {
      it(`describes CPython ${version} and names a library of the same version`, async function () {
        const executable = await interpreter(version)
        if (executable === null) return this.skip()
        const found = await probePython(executable)
        assert.equal(found.executable, executable)
        assert.equal(`${found.versionInfo[0]}.${found.versionInfo[1]}`, version)
        assert.equal(found.version, found.versionInfo.join('.'))
        assert.equal(found.prefix, await python(executable, 'import sys; print(sys.prefix)'))
        assert.equal(await python(executable, LIBRARY_VERSION, found.libpython), found.version)
        if (found.includeDir !== null) {
          assert.match(
            await readFile(join(found.includeDir, 'Python.h'), 'utf8'),
            /PY_VERSION|Py_PYTHON_H/,
          )
        }
      })
    }

    it('finds the library of an interpreter that is linked statically', async function () {
      for (const name of (process.env.PATH ?? '').split(delimiter)) {
        for await (const found of searchPythons({ env: bare(name) })) {
          if ('error' in found) continue
          if ((await python(found.executable, HAS_MAPPED_LIBRARY)) === 'True') continue
          assert.equal(
            await python(found.executable, LIBRARY_VERSION, found.libpython),
            found.version,
          )
          return
        }
      }
      this.skip()
    })

    it('keeps the path of a virtual environment and takes the library of its base', async () => {
      const executable = await folder.virtualEnvironment('env', real)
      const [found, base] = [await probePython(executable), await probePython(real)]
      assert.equal(found.executable, executable)
      assert.equal(found.prefix, dirname(dirname(executable)))
      assert.equal(found.basePrefix, base.prefix)
      assert.equal(found.libpython, base.libpython)
      assert.equal(found.includeDir, base.includeDir)
    })

    it('keeps the path of a virtual environment that is reached through a link', async () => {
      await folder.virtualEnvironment('env', real)
      await symlink(join(folder.path, 'env'), join(folder.path, 'link'))
      const found = await probePython(join(folder.path, 'link', 'bin', 'python'))
      assert.equal(found.executable, join(folder.path, 'link', 'bin', 'python'))
      assert.equal(await realpath(found.prefix), await realpath(join(folder.path, 'env')))
    })

    it('names the interpreter behind a shim', async () => {
      const shim = await folder.script('python3', `exec '${real}' "$@"`)
      assert.equal((await probePython(shim)).executable, real)
    })

    it('is not misled by PYTHON* variables or by modules in the working folder', async () => {
      await folder.write('json.py', 'raise SystemExit("the wrong json")')
      await folder.write('sysconfig.py', 'raise SystemExit("the wrong sysconfig")')
      const env = {
        ...process.env,
        PYTHONHOME: join(folder.path, 'nowhere'),
        PYTHONPATH: folder.path,
        PYTHONSTARTUP: join(folder.path, 'json.py'),
        __PYVENV_LAUNCHER__: join(folder.path, 'launcher'),
      }
      const found = await probePython(real, { env, cwd: folder.path })
      assert.deepEqual(found, await probePython(real))
    })

    it('understands an interpreter whose sitecustomize prints', async () => {
      const executable = await folder.virtualEnvironment('env', real)
      const code = 'import sysconfig; print(sysconfig.get_path("purelib"))'
      const packages = await python(executable, code)
      await mkdir(packages, { recursive: true })
      const printing = 'print("hello"); import atexit; atexit.register(print, "bye")\n'
      await promisify(execFile)(executable, [
        '-c',
        'import sys; open(sys.argv[1] + "/sitecustomize.py", "w").write(sys.argv[2])',
        packages,
        printing,
      ])
      assert.match(await python(executable, 'pass'), /hello/)
      assert.equal((await probePython(executable)).executable, executable)
    })
  })

  describe('which interpreter it chooses', () => {
    it('takes the option before TORCHBED_PYTHON before an active environment', async () => {
      const active = await folder.virtualEnvironment('active', real)
      const [byOption, byVariable] = [
        await folder.virtualEnvironment('option', real),
        await folder.virtualEnvironment('variable', real),
      ]
      const env = { ...bare(), VIRTUAL_ENV: dirname(dirname(active)) }
      const named = { ...env, TORCHBED_PYTHON: byVariable }
      const chosen = [
        await findPython({ env: named, python: byOption }),
        await findPython({ env: named }),
        await findPython({ env: { ...named, TORCHBED_PYTHON: '' } }),
      ]
      assert.deepEqual(
        chosen.map(({ executable }) => executable),
        [byOption, byVariable, active],
      )
      assert.match(chosen[0]!.chosenBecause, /option "python"/)
      assert.match(chosen[1]!.chosenBecause, /TORCHBED_PYTHON/)
      assert.match(chosen[2]!.chosenBecause, /VIRTUAL_ENV/)
    })

    it('searches VIRTUAL_ENV, CONDA_PREFIX, .venv, then PATH', async () => {
      const [active, conda, local] = [
        await folder.virtualEnvironment('active', real),
        await folder.virtualEnvironment('conda', real),
        await folder.virtualEnvironment('.venv', real),
      ]
      const onPath = await folder.virtualEnvironment('path', real)
      const env = {
        ...bare(dirname(onPath)),
        VIRTUAL_ENV: dirname(dirname(active)),
        CONDA_PREFIX: dirname(dirname(conda)),
      }
      const found: string[] = []
      for await (const each of searchPythons({ env, cwd: folder.path })) {
        assert.ok(!('error' in each), 'every one of these fits')
        found.push(each.executable)
      }
      assert.deepEqual(found.slice(0, 4), [active, conda, local, join(dirname(onPath), 'python3')])
      assert.equal((await findPython({ env, cwd: folder.path })).executable, active)
    })

    it('skips an active environment that does not fit, and says so', async function () {
      const old = await interpreter('3.10')
      if (old === null) return this.skip()
      const active = await folder.virtualEnvironment('active', old)
      const path = await folder.virtualEnvironment('path', real)
      const env = { ...bare(dirname(path)), VIRTUAL_ENV: dirname(dirname(active)) }
      const found = await findPython({ env, cwd: folder.path })
      assert.equal(found.prefix, join(folder.path, 'path'))
      assert.equal(found.skipped.length, 1)
      assert.equal(found.skipped[0]!.path, active)
      assert.ok(found.skipped[0]!.error instanceof PythonTooOldError)
    })

    it('looks a bare name up on PATH and a relative path in the working folder', async () => {
      const executable = await folder.virtualEnvironment('env', real)
      const byName = await findPython({ python: 'python', env: bare(dirname(executable)) })
      const relative = join('env', 'bin', 'python')
      const byPath = await findPython({ python: relative, env: bare(), cwd: folder.path })
      assert.equal(byName.executable, executable)
      assert.equal(byPath.executable, executable)
    })

    it('finds a Python on this machine when nothing is named', async () => {
      const env = { ...process.env }
      delete env.TORCHBED_PYTHON
      const found = await findPython({ env })
      assert.ok(found.versionInfo[1] >= 11)
      assert.equal(await python(found.executable, LIBRARY_VERSION, found.libpython), found.version)
    })
  })

  describe('what it refuses', () => {
    it('refuses a Python older than 3.11, even one that is very old', async function () {
      let tried = 0
      for (const version of ['2.7', '3.6', '3.10']) {
        const executable = await interpreter(version)
        if (executable === null) continue
        tried += 1
        await assert.rejects(findPython({ python: executable }), (error) => {
          assert.ok(error instanceof PythonTooOldError, String(error))
          assert.ok(error.message.includes(`"${executable}" is Python ${version}.`), error.message)
          assert.match(error.message, /3\.11 or newer.*TORCHBED_PYTHON/s)
          return true
        })
      }
      if (tried === 0) this.skip()
    })

    it('refuses a Python without a shared library and lists where it looked', async function () {
      let linkedStatically: string | undefined
      for await (const found of searchPythons()) {
        if ('error' in found) continue
        if ((await python(found.executable, HAS_MAPPED_LIBRARY)) === 'True') continue
        linkedStatically = found.executable
      }
      if (linkedStatically === undefined) return this.skip()
      const executable = await folder.altered(
        'python',
        linkedStatically,
        'import sysconfig\nv = sysconfig.get_config_vars()\n' +
          "v['LIBDIR'] = v['LIBPL'] = sys.base_prefix = '/nonexistent'",
      )
      await assert.rejects(findPython({ python: executable }), (error) => {
        assert.ok(error instanceof PythonSharedLibraryError, String(error))
        assert.match(error.message, /looked for \/nonexistent\/libpython3\.\d+\.so/)
        assert.match(
          error.message,
          /To repair it: uv python install 3\.\d+\. Or name another Python with TORCHBED_PYTHON/,
        )
        return true
      })
    })

    const alterations = [
      {
        title: 'refuses a free-threaded build',
        statements: "import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1",
        error: PythonFreeThreadedError,
        message:
          /free-threaded build.*Use the ordinary build \(python3\.\d+ instead of python3\.\d+t\)/,
      },
      {
        title: 'refuses an interpreter that is not CPython',
        statements: "sys.implementation.name = 'pypy'",
        error: PythonNotFoundError,
        message: /is pypy, but only CPython can be embedded/,
      },
      {
        title: 'refuses a Python for processors with another pointer size',
        statements:
          'import struct; size = struct.calcsize("P"); struct.calcsize = lambda _: 12 - size',
        error: PythonSharedLibraryError,
        message: /32-bit Python.*one architecture/,
      },
      {
        title: 'refuses a Python for another processor that an emulator runs',
        statements:
          'import os; own = os.uname()\n' +
          "other = 'x86_64' if own[4] in ('aarch64', 'arm64') else 'aarch64'\n" +
          'os.uname = lambda: (*own[:4], other)',
        error: PythonSharedLibraryError,
        message: /64-bit Python for (aarch64|x86_64).*one architecture/,
      },
    ]
    for (const { title, statements, error: expected, message } of alterations) {
      it(title, async () => {
        const executable = await folder.altered('python', real, statements)
        await assert.rejects(findPython({ python: executable }), (error) => {
          assert.ok(error instanceof expected, String(error))
          assert.match(error.message, message)
          return true
        })
      })
    }

    it('refuses a program that fails, quoting what it said', async () => {
      const executable = await folder.script('python', 'echo "no such version" >&2; exit 1')
      await assert.rejects(findPython({ python: executable }), {
        name: 'PythonNotFoundError',
        message:
          `Cannot use "${executable}" as Python: ` +
          'it ended with exit code 1, saying "no such version". ' +
          'Name a working CPython with TORCHBED_PYTHON or the option "python". ' +
          '`npx torchbed doctor` checks the whole installation',
      })
    })

    it('refuses a program that hangs, once the time limit is over', async () => {
      const executable = await folder.script('python', 'sleep 3; echo late')
      const start = Date.now()
      await assert.rejects(findPython({ python: executable, timeoutMs: 300 }), (error) => {
        assert.ok(error instanceof PythonNotFoundError, String(error))
        assert.match(error.message, /did not answer within 0\.3 s/)
        return true
      })
      assert.ok(Date.now() - start < 2500, 'it does not wait for the program to end')
    })

    it('refuses a program that floods its output', async () => {
      const executable = await folder.script('python', 'exec yes torchbed-probe:')
      await assert.rejects(findPython({ python: executable }), /printed too much/)
    })

    it('refuses whatever is printed that is not an answer', async () => {
      const answer = join(folder.path, 'answer')
      const executable = await folder.script('python', `cat '${answer}'`)
      const line = fc.oneof(fc.string(), fc.json(), fc.constant('{"implementation":"cpython"}'))
      await fc.assert(
        fc.asyncProperty(line, fc.boolean(), async (text, marked) => {
          await folder.write('answer', `${marked ? 'torchbed-probe:' : ''}${text}\n`)
          await assert.rejects(findPython({ python: executable }), {
            name: 'PythonNotFoundError',
            message: /did not answer as Python does/,
          })
        }),
        { numRuns: 25 },
      )
    })

    it('refuses a name or path that does not exist, and points into an environment', async () => {
      const absent = join(folder.path, 'absent')
      await assert.rejects(findPython({ python: absent }), (error) => {
        assert.ok(error instanceof PythonNotFoundError)
        assert.ok(error.message.includes(`"${absent}"`), error.message)
        return true
      })
      const named = findPython({ env: { ...bare(folder.path), TORCHBED_PYTHON: 'python3.99' } })
      await assert.rejects(named, /"python3\.99" that TORCHBED_PYTHON names: it is not on PATH/)
      const inside = await folder.virtualEnvironment('env', real)
      await assert.rejects(findPython({ python: dirname(dirname(inside)) }), (error) => {
        assert.ok(error instanceof PythonNotFoundError)
        assert.ok(error.message.includes(`name ${inside} instead`), error.message)
        return true
      })
    })

    it('lists every interpreter tried, with its reason, when none fits', async () => {
      await folder.script('python3', 'exit 7')
      await folder.script('python', 'echo hello')
      const gone = join(folder.path, 'gone')
      const env = { ...bare(folder.path), VIRTUAL_ENV: gone }
      await assert.rejects(findPython({ env, cwd: folder.path }), (error) => {
        assert.ok(error instanceof PythonNotFoundError)
        const lines = error.message.split('\n')
        assert.match(lines[0]!, /CPython 3\.11 or newer with a shared libpython/)
        assert.match(lines[1]!, /gone\/bin\/python: .*cannot be run \(ENOENT\)/)
        assert.match(lines[2]!, /\/python3: .*exit code 7/)
        assert.match(lines[3]!, /\/python: .*it printed "hello"/)
        assert.equal(lines.length, 4)
        return true
      })
    })

    it('says that nothing is on PATH when that is so', async () => {
      const nothing = findPython({ env: bare(), cwd: folder.path })
      await assert.rejects(nothing, /No usable Python found.*No interpreter is on PATH/)
    })
  })

  describe('how often it asks', () => {
    it('runs an interpreter once per process, however many ask', async () => {
      const log = await folder.write('log', '')
      const executable = await folder.script('python', `echo run >> '${log}'; exec '${real}' "$@"`)
      const [first, second] = await Promise.all([probePython(executable), probePython(executable)])
      assert.equal(first, second)
      assert.equal(await probePython(executable), first)
      assert.equal(await readFile(log, 'utf8'), 'run\n')
    })

    it('asks again after a failure', async () => {
      const executable = await folder.script('python', 'exit 1')
      await assert.rejects(probePython(executable), PythonNotFoundError)
      await rm(executable)
      await folder.script('python', `exec '${real}' "$@"`)
      assert.equal((await probePython(executable)).executable, real)
    })
  })
})
