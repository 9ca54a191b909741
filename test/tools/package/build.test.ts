/** `torchbed build` on machines that lack something; scripts/long/package.mjs compiles for real. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { findPython } from '../../../lib/index.js'
import { findAddon } from '../../../lib/runtime/embedded/addon-place.js'
import { setVariable } from '../../../lib/runtime/python/install-commands.js'
import { torchbed, type CommandEnd } from '../../support/cli.js'

const posixDescribe = process.platform === 'win32' ? describe.skip : describe

/** Where a program is on this machine's PATH. */
function found(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

posixDescribe('torchbed build', () => {
  let folder: string
  let python: string
  before(async () => {
    python = (await findPython()).executable
  })
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-build-'))
    await mkdir(join(folder, 'bin'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** Runs it where PATH has these programs alone, and the headers are those of the tests' Python. */
  async function build(programs: string[], args: string[] = [], env: Record<string, string> = {}) {
    for (const name of programs) {
      const path = found(name)
      assert.ok(path !== undefined, `the test needs ${name}`)
      await symlink(path, join(folder, 'bin', name))
    }
    return torchbed(['build', '--out', join(folder, 'out'), ...args], {
      env: { PATH: join(folder, 'bin'), TORCHBED_PYTHON: python, CXX: '', ...env },
    })
  }

  function assertRefused(end: CommandEnd, ...patterns: RegExp[]): void {
    assert.equal(end.code, 1, end.stdout + end.stderr)
    for (const pattern of [/^ERR_BUILD_TOOLS_MISSING: Cannot compile the addon: /, ...patterns]) {
      assert.match(end.stderr, pattern)
    }
    assert.ok(!existsSync(join(folder, 'out')), 'something was written')
  }

  const onDebian = existsSync('/etc/debian_version')

  it('names cmake and the command that installs it, where there is no cmake', async () => {
    const end = await build(['c++', 'make'])
    assertRefused(end, /: cmake is not on PATH \(3\.20 or newer is needed\)/)
    if (onDebian) assert.match(end.stderr, /To repair it: (sudo )?apt-get install -y cmake\./)
  })

  it('names a compiler, where there is none', async () => {
    const end = await build(['cmake', 'make'])
    assertRefused(end, /: no C\+\+ compiler is on PATH \(neither c\+\+, g\+\+ nor clang\+\+\)/)
    if (onDebian) assert.match(end.stderr, /To repair it: (sudo )?apt-get install -y g\+\+\./)
  })

  it('quotes CXX, where it names a compiler that does not exist', async () => {
    const end = await build(['cmake', 'make', 'c++'], [], { CXX: 'g++-99 -m64' })
    assertRefused(end, /: the C\+\+ compiler "g\+\+-99 -m64" that CXX names does not exist/)
  })

  it('names Python.h, where no Python has it', async () => {
    const env = { TORCHBED_PYTHON: '', VIRTUAL_ENV: '', CONDA_PREFIX: '' }
    const end = await torchbed(['build', '--out', join(folder, 'out')], {
      cwd: folder,
      env: { ...env, PATH: join(folder, 'bin') },
    })
    assertRefused(end, /Python\.h is missing \(no usable Python was found\)/)
  })

  it('names the folder of --python-include, where that has no Python.h', async () => {
    const end = await build(['cmake', 'make', 'c++'], ['--python-include', folder])
    assertRefused(end, new RegExp(`: there is no Python\\.h in ${folder}`))
  })

  it('names all that is missing at once, with one command', async () => {
    const end = await build([])
    assertRefused(
      end,
      /: 3 things are missing/,
      /^ {2}cmake is not on PATH/m,
      /^ {2}no C\+\+ compiler/m,
      /^ {2}neither ninja nor make is on PATH/m,
    )
    if (onDebian) assert.match(end.stderr, /apt-get install -y cmake g\+\+ make\./)
  })

  // No old CMake is at hand: a program that says it is one.
  it('refuses a CMake that is too old, and quotes its version', async () => {
    const cmake = join(folder, 'bin', 'cmake')
    await writeFile(cmake, '#!/bin/sh\necho cmake version 3.16.3\n')
    await chmod(cmake, 0o755)
    const end = await build(['c++', 'make', 'sh'])
    assertRefused(end, /is CMake 3\.16\.3, and 3\.20 or newer is needed/)
  })

  it('with --json prints the error as a document, and ends with the same exit code', async () => {
    const end = await build(['c++', 'make'], ['--json'])
    assert.equal(end.code, 1)
    const { error } = JSON.parse(end.stdout) as { error: { code: string; message: string } }
    assert.equal(error.code, 'ERR_BUILD_TOOLS_MISSING')
    assert.match(error.message, /cmake is not on PATH/)
  })

  it('names --out, where it cannot write', async () => {
    const file = join(folder, 'file')
    await writeFile(file, '')
    const end = await build(['cmake', 'make', 'c++'], ['--out', file])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /^ERR_BUILD_FAILED: Cannot write to .*\/file\/build: .*--out/)
  })

  it('quotes what CMake said, where the compiler fails', async () => {
    const compiler = join(folder, 'bin', 'c++')
    await writeFile(compiler, '#!/bin/sh\necho no licence for this compiler >&2\nexit 3\n')
    await chmod(compiler, 0o755)
    const end = await build(['cmake', 'make', 'sh', 'uname'])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /^ERR_BUILD_FAILED: .*cmake \(configure\) ended with exit code 1/)
    assert.match(end.stderr, /no licence for this compiler/)
    assert.ok(existsSync(join(folder, 'out', 'build', 'torchbed-build.log')))
  })

  it('says so, where its log cannot be written', async () => {
    const log = join(folder, 'out', 'build', 'torchbed-build.log')
    await mkdir(log, { recursive: true })
    const end = await build(['cmake', 'make', 'c++', 'sh', 'uname'])
    assert.equal(end.code, 1)
    assert.match(end.stderr, /^ERR_BUILD_FAILED: Cannot write to .*torchbed-build\.log: EISDIR/)
  })

  /** A stand-in for CMake, whose build step is `script`. */
  async function standIn(script: string): Promise<void> {
    const cmake = join(folder, 'bin', 'cmake')
    const step = `case $1 in --version) echo cmake version 3.30.0;; --build) ${script};; esac`
    await writeFile(cmake, `#!/bin/sh\n${step}\n`)
    await chmod(cmake, 0o755)
  }

  it('compiles no more files at once than there are processors', async () => {
    await standIn('echo "$@" >&2; exit 1')
    const end = await build(['make', 'c++', 'sh'])
    assert.match(
      end.stderr,
      new RegExp(`--config Release --parallel ${availableParallelism()}$`, 'm'),
    )
  })

  it('names the signal, where loading what was compiled ends the process', async () => {
    const crash = join(folder, 'crash.cc')
    const program =
      '#include <csignal>\n__attribute__((constructor)) void f() { raise(SIGKILL); }\n'
    await writeFile(crash, program)
    const compiler = found('c++') ?? assert.fail('the test needs c++')
    await promisify(execFile)(compiler, ['-shared', '-fPIC', '-o', `${crash}.node`, crash])
    const addon = join(folder, 'out', 'build', 'Release', 'torchbed.node')
    await standIn(`mkdir -p ${join(addon, '..')} && cp ${crash}.node ${addon}`)
    const end = await build(['make', 'c++', 'sh', 'mkdir', 'cp'])
    assert.match(end.stderr, /^ERR_BUILD_FAILED: The compiled addon does not load: [^]*SIGKILL/)
  })

  it('says what keeps Node.js from using what was compiled', async () => {
    const addon = join(folder, 'out', 'build', 'Release', 'torchbed.node')
    await standIn(`mkdir -p ${join(addon, '..')} && cp '${findAddon().path}' ${addon}`)
    const env = { PREBUILDS_ONLY: '1', TORCHBED_PREBUILD: '/another' }
    const end = await build(['make', 'c++', 'sh', 'mkdir', 'cp'], [], env)
    assert.equal(end.code, 0, end.stderr)
    assert.match(
      end.stdout,
      /^Compiled .*\nUse it: {2}unset PREBUILDS_ONLY\nUse it: {2}export TORCHBED_PREBUILD=.*out\n$/,
    )
  })

  it('prints a command that a shell takes, where the folder has a space', () => {
    const command = setVariable('TORCHBED_PREBUILD', "/a b/it's")
    assert.equal(command, "export TORCHBED_PREBUILD='/a b/it'\\''s'")
  })

  it('shows its options and examples with --help, and refuses others as bad usage', async () => {
    const help = await torchbed(['build', '--help'])
    assert.equal(help.code, 0)
    assert.match(help.stdout, /--python-include[^]*Examples:\n {2}torchbed build\n/)
    assert.equal((await torchbed(['build', '--ouch'])).code, 2)
    assert.equal((await torchbed(['build', '--verbose', '--json'])).code, 2)
  })
})
