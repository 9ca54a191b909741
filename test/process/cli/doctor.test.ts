/** Each situation is made for real. Where this machine lacks what it takes, the test is shown as pending. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, open, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Check } from '../../../lib/doctor/check.js'
import { checkNode } from '../../../lib/doctor/machine.js'
import { checkLines } from '../../../lib/cli/doctor/text.js'
import { styleOf } from '../../../lib/cli/text/terminal.js'
import { widthOf } from '../../../lib/cli/text/width.js'
import { EmbeddedRuntime, findPython } from '../../../lib/index.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { Folder, interpreter, python, supportedInterpreter } from '../../runtime/interpreters.js'
import { withTorch } from '../../support/workloads.js'
import { check, doctor, doctorText, runRemedy, saysAsThrown } from './doctor-support.js'

const STATIC_PYTHON = '/usr/bin/python3.11'
const FREE_THREADED = '3.13t'

describe('torchbed doctor', function () {
  this.timeout(60_000)
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

  /** Only what is in these folders is on PATH, and the working folder is the test's own. */
  function only(...path: string[]) {
    return { cwd: folder.path, env: { PATH: path.join(':') } }
  }

  ;(withTorch ? it : it.skip)('finds nothing wrong where all is well, and exits 0', async () => {
    const chosen = await findPython()
    const said = await doctor(['--python', chosen.executable], only())
    assert.equal(said.ok, true, said.end.stdout)
    const value = (name: string) => check(said, name).value
    assert.ok(value('node').startsWith(process.versions.node))
    assert.ok(value('platform').startsWith(`${process.platform} ${process.arch}`))
    assert.ok(value('addon').endsWith('torchbed.node'))
    assert.ok(value('python').endsWith(chosen.executable))
    assert.equal(value('libpython'), chosen.libpython)
    assert.equal(
      value('torch'),
      await python(chosen.executable, 'import torch; print(torch.__version__)'),
    )
    const ssl = await python(chosen.executable, 'import ssl; print(ssl.OPENSSL_VERSION.split()[1])')
    assert.equal(value('OpenSSL'), `Python ${ssl}, Node.js ${process.versions.openssl}`)
    const median = Number(/^median ([\d.]+) µs/.exec(value('calls'))?.[1])
    assert.ok(median > 0 && median < 20_000, value('calls'))
    assert.match(value('devices'), /^CPU with \d+ threads/)
  })

  describe('Python', () => {
    it('says how to install a Python when there is none', async () => {
      const said = await doctor([], only(folder.path))
      const failure = check(said, 'python')
      assert.equal(failure.code, 'ERR_PYTHON_NOT_FOUND')
      assert.match(failure.remedy!, /install/)
      await saysAsThrown(failure, findPython({ env: { PATH: folder.path }, cwd: folder.path }))
    })

    it('names a Python that is too old', async function () {
      const old = await interpreter('3.10')
      if (old === null) return this.skip()
      const failure = check(await doctor(['--python', old], only()), 'python')
      assert.equal(failure.code, 'ERR_PYTHON_TOO_OLD')
      assert.match(failure.detail!, /is Python 3\.10\.\d+, but torchbed needs 3\.11/)
      await saysAsThrown(failure, findPython({ python: old }))
    })

    it('names a free-threaded Python, or one that answers as such a build where there is none', async () => {
      const build = await interpreter(FREE_THREADED)
      const statements = "import sysconfig; sysconfig.get_config_vars()['Py_GIL_DISABLED'] = 1"
      const executable = build ?? (await folder.altered('python', real, statements))
      const failure = check(await doctor(['--python', executable], only()), 'python')
      assert.equal(failure.code, 'ERR_PYTHON_FREE_THREADED')
      await saysAsThrown(failure, findPython({ python: executable }))
    })

    it('names a static Python whose shared library is not installed', async function () {
      if (!existsSync(STATIC_PYTHON) || !existsSync('/usr/lib/python3.11')) return this.skip()
      const executable = await staticPython()
      const failure = check(await doctor(['--python', executable], only()), 'python')
      assert.equal(failure.code, 'ERR_PYTHON_NO_SHARED_LIBRARY')
      assert.match(failure.detail!, /has no shared libpython; looked for/)
      await saysAsThrown(failure, findPython({ python: executable }))
    })

    /** Debian's static interpreter in a prefix of its own, which has all but libpython. */
    async function staticPython(): Promise<string> {
      const prefix = join(folder.path, 'static')
      const library = join(prefix, 'lib', 'python3.11')
      await mkdir(join(prefix, 'bin'), { recursive: true })
      await copyFile(STATIC_PYTHON, join(prefix, 'bin', 'python3.11'))
      await cp('/usr/lib/python3.11', library, {
        recursive: true,
        filter: (path) => !/__pycache__|config-3\.11|\/test\//.test(path),
      })
      const name = '_sysconfigdata__x86_64-linux-gnu.py'
      const config = (await readFile(join(library, name), 'utf8')).replaceAll(
        /'\/usr\/lib(\/[^']*)?'/g,
        `'${prefix}/lib$1'`,
      )
      await writeFile(join(library, name), config)
      return join(prefix, 'bin', 'python3.11')
    }

    it('names a virtual environment whose Python is gone, and its remedy repairs it', async () => {
      const base = join(folder.path, 'base')
      await mkdir(base)
      const prefix = dirname(dirname(real))
      for (const part of ['bin', 'lib']) await symlink(join(prefix, part), join(base, part))
      await folder.virtualEnvironment('.venv', join(base, 'bin', 'python3'))
      await rm(base, { recursive: true })
      const failure = check(await doctor([], only(folder.path)), 'python')
      assert.equal(failure.code, 'ERR_PYTHON_NOT_FOUND')
      assert.match(failure.detail!, /\.venv was made from .*base\/bin.*, which is gone/)

      const named = await doctor(['--python', '.venv/bin/python'], only())
      const byName = check(named, 'python')
      await saysAsThrown(byName, findPython({ python: '.venv/bin/python', cwd: folder.path }))
      // Without pip, whose installation takes longer than all the rest.
      await mkdir(join(folder.path, 'quick'))
      await folder.script(join('quick', 'python3'), `exec '${real}' "$@" --without-pip`)
      await runRemedy(byName.remedy, join(folder.path, 'quick'))
      const repaired = await doctor([], only(folder.path))
      assert.equal(check(repaired, 'start').status, 'ok')
    })

    it('names a virtual environment whose pyvenv.cfg points to a folder that is gone', async () => {
      await folder.virtualEnvironment('moved', real)
      const config = join(folder.path, 'moved', 'pyvenv.cfg')
      const gone = join(folder.path, 'gone', 'bin')
      const text = (await readFile(config, 'utf8')).replace(/^home = .*$/m, `home = ${gone}`)
      await writeFile(config, text)
      // A Python that was built for one folder finds its library there all the same. One that was built to be moved
      // fails, and there may be none here: this answers as such a one does.
      const executable = join(folder.path, 'moved', 'bin', 'python')
      await rm(executable)
      const failing = 'echo "ModuleNotFoundError: No module named \'encodings\'" >&2; exit 1'
      await folder.script(join('moved', 'bin', 'python'), failing)
      const failure = check(await doctor(['--python', executable], only()), 'python')
      assert.ok(failure.detail!.includes(`was made from ${gone}, which is gone`), failure.detail)
      assert.equal(failure.remedy, `python3 -m venv --clear '${join(folder.path, 'moved')}'`)
      await saysAsThrown(failure, findPython({ python: executable }))
    })

    it('names a Python for another processor', async function () {
      if (process.platform !== 'linux' || process.arch !== 'x64') return this.skip()
      const executable = join(folder.path, 'python3')
      await copyFile(real, executable)
      const file = await open(executable, 'r+')
      await file.write(Uint8Array.of(183, 0), 0, 2, 18) // e_machine: EM_AARCH64
      await file.close()
      const failure = check(await doctor(['--python', executable], only()), 'python')
      assert.equal(failure.code, 'ERR_PYTHON_NO_SHARED_LIBRARY')
      assert.match(failure.detail!, /is a Python for aarch64, .* x64 Node\.js/)
      await saysAsThrown(failure, findPython({ python: executable }))
    })

    it('says of an active environment that it passes over why it does', async function () {
      const old = await interpreter('3.10')
      if (old === null) return this.skip()
      const active = await folder.virtualEnvironment('active', old)
      await folder.virtualEnvironment('fits', real)
      const said = await doctor([], {
        cwd: folder.path,
        env: { PATH: join(folder.path, 'fits', 'bin'), VIRTUAL_ENV: dirname(dirname(active)) },
      })
      const warning = check(said, 'skipped')
      assert.deepEqual([warning.status, warning.code], ['warning', 'ERR_PYTHON_TOO_OLD'])
      assert.ok(warning.value.startsWith(active))
      assert.equal(check(said, 'start').status, 'ok')
    })
  })

  describe('search paths', () => {
    for (const version of ['2.7', '3.12']) {
      it(`names a PYTHONPATH with the library of Python ${version}, as the library does`, async function () {
        const other = await interpreter(version)
        if (other === null || other === real) return this.skip()
        const stdlib = await python(other, 'import os; print(os.path.dirname(os.__file__))')
        const env = { PATH: '', PYTHONPATH: stdlib }
        const failure = check(await doctor(['--python', real], { cwd: folder.path, env }), 'start')
        assert.deepEqual([failure.code, failure.remedy], ['ERR_PYTHON_START', 'unset PYTHONPATH'])
      })
    }

    it('leaves a PYTHONPATH alone that has modules of the user, or the own library', async () => {
      const stdlib = await python(real, 'import os; print(os.path.dirname(os.__file__))')
      const env = { PATH: '', PYTHONPATH: `${folder.path}:${stdlib}` }
      const said = await doctor(['--python', real], { cwd: folder.path, env })
      assert.equal(check(said, 'PYTHONPATH').status, 'ok')
      assert.equal(check(said, 'start').status, 'ok')
    })

    it('says that PYTHONHOME is ignored', async () => {
      const env = { PATH: '', PYTHONHOME: join(folder.path, 'nowhere') }
      const said = await doctor(['--python', real], { cwd: folder.path, env })
      const warning = check(said, 'PYTHONHOME')
      assert.deepEqual([warning.status, warning.remedy], ['warning', 'unset PYTHONHOME'])
      assert.equal(check(said, 'start').status, 'ok')
    })
  })

  describe('the addon and the package', () => {
    it('names a TORCHBED_PREBUILD that holds no addon', async () => {
      const env = { PATH: '', TORCHBED_PREBUILD: folder.path }
      const said = await doctor(['--python', real], { cwd: folder.path, env })
      const failure = check(said, 'addon')
      assert.deepEqual([failure.code, failure.remedy], ['ERR_ADDON', 'unset TORCHBED_PREBUILD'])
      assert.ok(failure.detail!.includes(folder.path))
    })

    it('names an addon that does not load', async () => {
      await mkdir(join(folder.path, 'build', 'Release'), { recursive: true })
      await writeFile(join(folder.path, 'build', 'Release', 'torchbed.node'), 'not an addon')
      const env = { PATH: '', TORCHBED_PREBUILD: folder.path }
      const said = await doctor(['--python', real], { cwd: folder.path, env })
      const failure = check(said, 'start')
      assert.deepEqual([failure.code, failure.remedy], ['ERR_ADDON', 'unset TORCHBED_PREBUILD'])
      assert.match(failure.detail!, /Cannot load torchbed's native addon .*torchbed\.node/)
    })

    it('says how to build the addon in a package that has none for this platform', async () => {
      const copy = join(folder.path, 'node_modules', 'torchbed')
      await mkdir(join(copy, 'dist'), { recursive: true })
      for (const part of ['package.json', 'dist/lib', 'python']) {
        await cp(join(packageRoot(), part), join(copy, part), { recursive: true })
      }
      await symlink(join(packageRoot(), 'node_modules'), join(copy, 'node_modules'))
      const main = join(copy, 'dist', 'lib', 'cli', 'main.js')
      const env = { ...process.env, TORCHBED_PREBUILD: '' }
      const args = [main, 'doctor', '--python', real, '--json']
      const { status, stdout } = spawnSync(process.execPath, args, { env, encoding: 'utf8' })
      const { checks } = JSON.parse(stdout) as { checks: Check[] }
      const failure = checks.find(({ name }) => name === 'addon')!
      assert.deepEqual([failure.code, failure.remedy], ['ERR_ADDON', 'npx torchbed build'])
      assert.equal(status, 1)
    })

    it('names both copies of the package that a project has', async () => {
      const places = ['torchbed', join('@scope', 'other', 'node_modules', 'torchbed')]
      for (const [index, place] of places.entries()) {
        const path = join(folder.path, 'node_modules', place)
        await mkdir(path, { recursive: true })
        const manifest = JSON.stringify({ name: 'torchbed', version: `0.${index + 1}.0` })
        await writeFile(join(path, 'package.json'), manifest)
      }
      const failure = check(await doctor(['--python', real], only()), 'torchbed')
      assert.deepEqual([failure.status, failure.remedy], ['failure', 'npm dedupe'])
      for (const place of places) assert.ok(failure.detail!.includes(place), failure.detail)
    })

    it('takes one copy with many links to it for one', async () => {
      const modules = join(folder.path, 'node_modules')
      await mkdir(join(modules, 'other', 'node_modules'), { recursive: true })
      await symlink(packageRoot(), join(modules, 'torchbed'))
      await symlink(packageRoot(), join(modules, 'other', 'node_modules', 'torchbed'))
      await symlink(modules, join(modules, 'other', 'node_modules', 'round'))
      const said = await doctor(['--python', real], only())
      assert.equal(check(said, 'torchbed').status, 'ok')
    })

    it('judges the version of Node.js by package.json', () => {
      const versions = ['18.20.0', '20.18.3', '20.19.0', '22.11.9', '22.12.0', '26.0.0']
      assert.deepEqual(
        versions.map((version) => checkNode(version).status),
        ['failure', 'failure', 'ok', 'failure', 'ok', 'ok'],
      )
      assert.match(checkNode('18.20.0').detail!, /18\.20\.0 .* torchbed needs \^20\.19\.0/)
    })
  })

  describe('what it prints', () => {
    it('prints a line a check, then causes and remedies, without colours', async () => {
      const end = await doctorText([], only(folder.path))
      assert.equal(end.code, 1)
      assert.ok(!end.stdout.includes('\u001b'), end.stdout)
      assert.match(end.stdout, /^ok {3}node {7}\d+\.\d+\.\d+ /m)
      assert.match(end.stdout, /^FAIL python {5}ERR_PYTHON_NOT_FOUND$/m)
      assert.match(end.stdout, /^python \(ERR_PYTHON_NOT_FOUND\): No usable Python found/m)
      assert.match(end.stdout, /^ {2}To repair it: .*install/m)
      assert.match(end.stdout, /^torchbed does not work here: 1 failure$/m)
    })

    it('prints with --quiet only what is wrong', async () => {
      const end = await doctorText(['--quiet'], only(folder.path))
      assert.equal(end.code, 1)
      assert.doesNotMatch(end.stdout, /^ok/m)
      assert.match(end.stdout, /^FAIL python/)
    })

    it('keeps within 60 columns, but for a word that is longer', () => {
      const value =
        '3.11.7, it belongs to the active virtual environment: /a/rather/long/path/python'
      const lines = checkLines({ name: 'python', status: 'ok', value }, 60, styleOf(process.stdout))
      assert.ok(lines.length > 1)
      for (const line of lines) assert.ok(widthOf(line) <= 60, line)
    })

    it('refuses options that it does not have and times that are none, with exit code 2', async () => {
      for (const args of [
        ['--pyhton', 'x'],
        ['--timeout', '0'],
        ['--timeout', 'soon'],
        ['--timeout', '1e9'],
      ]) {
        const end = await doctorText(args, only())
        assert.equal(end.code, 2, args.join(' '))
        assert.equal(end.stdout, '')
      }
    })
  })

  it('has every check explained in docs/guide/troubleshooting.md', async () => {
    const page = join(packageRoot(), 'docs', 'guide', 'troubleshooting.md')
    const rows = (await readFile(page, 'utf8')).matchAll(/^\| `([\w.-]+)`/gm)
    const explained = new Set([...rows].map(([, name]) => name!))
    const said = await doctor(['--python', real], only())
    assert.deepEqual(
      said.checks.map(({ name }) => name).filter((name) => !explained.has(name)),
      [],
    )
  })

  it('leaves the embedded runtime with the same texts', async () => {
    const executable = join(folder.path, 'absent')
    const failure = check(await doctor(['--python', executable], only()), 'python')
    await saysAsThrown(failure, EmbeddedRuntime.start({ python: executable }))
  })
})
