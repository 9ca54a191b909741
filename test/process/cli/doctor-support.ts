/** Runs `torchbed doctor` where nothing but what a test gives is to be found. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Check } from '../../../lib/doctor/check.js'
import { InstallationError } from '../../../lib/index.js'
import { python, type Folder } from '../../runtime/interpreters.js'
import { torchbed, type CommandEnd, type CommandOptions } from '../../support/cli.js'

const execute = promisify(execFile)

/** What the doctor said, and how it ended. */
export interface Diagnosis {
  readonly end: CommandEnd
  readonly ok: boolean
  readonly checks: readonly Check[]
}

/** Nothing that would name a Python, a search path or an addon. */
const NOTHING_NAMED = {
  ...{ TORCHBED_PYTHON: '', VIRTUAL_ENV: '', CONDA_PREFIX: '', PYTHONPATH: '', PYTHONHOME: '' },
  ...{ TORCHBED_PREBUILD: process.env.TORCHBED_PREBUILD ?? '', FORCE_COLOR: '', NO_COLOR: '1' },
}

/** The doctor's text. */
export function doctorText(args: string[], options: CommandOptions = {}): Promise<CommandEnd> {
  return torchbed(['doctor', ...args], { ...options, env: { ...NOTHING_NAMED, ...options.env } })
}

/** The doctor's JSON. Its exit code must agree with what it says. */
export async function doctor(args: string[], options: CommandOptions = {}): Promise<Diagnosis> {
  const end = await doctorText([...args, '--json'], options)
  const { ok, checks } = JSON.parse(end.stdout) as Omit<Diagnosis, 'end'>
  const shown = JSON.stringify(checks, null, 2)
  assert.equal(
    ok,
    checks.every(({ status }) => status !== 'failure'),
    shown,
  )
  assert.deepEqual([end.code, end.signal], [ok ? 0 : 1, null], shown + end.stderr)
  return { end, ok, checks }
}

/** The only check of a name. */
export function check({ checks }: Diagnosis, name: string): Check {
  const found = checks.filter((each) => each.name === name)
  assert.equal(found.length, 1, `${name} in ${JSON.stringify(checks, null, 2)}`)
  return found[0]!
}

/** Asserts that the doctor says of a failure what the library throws for it. */
export async function saysAsThrown(failure: Check, thrown: Promise<unknown>): Promise<void> {
  const error = await thrown.then(
    () => assert.fail('the library throws nothing'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof InstallationError, String(error))
  assert.equal(failure.code, error.code)
  assert.equal(failure.remedy, error.remedy)
  const { detail = '' } = failure
  assert.ok(detail.startsWith(error.problem), `${detail}\nis not\n${error.problem}`)
  if (error.remedy !== undefined) {
    assert.ok(error.message.includes(`To repair it: ${error.remedy}`), error.message)
  }
}

/** Runs a remedy in a shell, as a user who copies it. */
export async function runRemedy(remedy: string | undefined, path: string): Promise<void> {
  assert.ok(remedy !== undefined)
  await execute('/bin/sh', ['-c', remedy], { env: { PATH: `${path}:/usr/bin:/bin` } })
}

/** Puts a package `torch` into a virtual environment; returns its folder. */
export async function fakeTorch(executable: string, init: string): Promise<string> {
  const code = 'import sysconfig; print(sysconfig.get_path("purelib"))'
  const folder = join(await python(executable, code), 'torch')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, '__init__.py'), init)
  return folder
}

/** Compiles a shared library from C; false where there is no compiler. */
export async function compile(
  folder: Folder,
  output: string,
  code: string,
  ...args: string[]
): Promise<boolean> {
  const source = await folder.write('source.c', code)
  await mkdir(dirname(output), { recursive: true })
  try {
    await execute('cc', ['-shared', '-fPIC', '-o', output, source, ...args])
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}
