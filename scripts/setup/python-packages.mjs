/** .venv, and the packages that examples, tests and checks need in it. */
import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { Failure } from '../support/failure.mjs'
import { ROOT, VENV, VENV_PYTHON } from '../support/paths.mjs'
import { lastLines } from '../support/process.mjs'
import { note, step } from '../support/progress.mjs'
import { splitArguments } from '../support/split-arguments.mjs'
import { digest, readJson, writeJson } from '../support/stamp.mjs'
import { VENV_RECORD } from './python.mjs'
import { ending, runLogged } from './run-logged.mjs'

// A pip told by the user's environment to install elsewhere would leave .venv empty.
const PIP_ENVIRONMENT = {
  PIP_USER: undefined,
  PIP_TARGET: undefined,
  PIP_PREFIX: undefined,
  PIP_ROOT: undefined,
  PYTHONHOME: undefined,
  PYTHONPATH: undefined,
  PIP_DISABLE_PIP_VERSION_CHECK: '1',
  PIP_NO_INPUT: '1',
}

/** @param chosen what choosePython() returned */
export async function installPythonPackages({ python, venv }) {
  if (venv === 'make') await makeVenv(python)
  const record = (await readJson(VENV_RECORD)) ?? {
    state: 'ready',
    own: false,
    path: VENV,
    installed: {},
  }
  const missing = {}
  for (const name of requirementFiles()) {
    const key = await digest([join(ROOT, name)])
    if (record.installed[name] !== key) missing[name] = key
  }
  if (Object.keys(missing).length === 0) return
  const files = Object.keys(missing)
  if (files.includes('requirements.txt')) warnOfSize()
  // What a killed pip has half unpacked looks installed to the next: only a new .venv is sound.
  if (record.own) await writeJson(VENV_RECORD, { ...record, state: 'unfinished' })
  await step(`Python packages (pip, ${files.join(', ')})`, async () => {
    const result = await pipInstall(files)
    if (result.ok) return
    const untouched = !/^Installing collected packages/m.test(result.output)
    if (record.own && untouched) await writeJson(VENV_RECORD, { ...record, state: 'ready' })
    throw pipFailure(python, result)
  })
  const installed = { ...record.installed, ...missing }
  await writeJson(VENV_RECORD, { ...record, state: 'ready', installed })
}

function requirementFiles() {
  return process.env.TORCHBED_WITHOUT_TORCH === '1'
    ? ['requirements-dev.txt']
    : ['requirements.txt', 'requirements-dev.txt']
}

function warnOfSize() {
  const args = process.env.TORCHBED_PIP_ARGS ?? ''
  if (process.platform !== 'linux' || /index|find-links|-i\b|-f\b/.test(args)) return
  note(
    '  Note: on Linux the public package index serves torch built for CUDA, several GB to download.\n' +
      '  For the CPU build (about 200 MB) stop here and start again with the index of CPU wheels on\n' +
      '  PyTorch\'s page "Get Started": TORCHBED_PIP_ARGS="--extra-index-url <that index>".\n' +
      "  pip's own configuration is heeded as well.",
  )
}

async function makeVenv(python) {
  if (existsSync(VENV)) {
    const record = await readJson(VENV_RECORD)
    if (record?.own !== true && existsSync(join(VENV, 'pyvenv.cfg'))) {
      throw new Failure(
        `.venv was not made by this set-up, and it is not of the Python ${python.executable}`,
        'delete .venv to have it made anew, or unset TORCHBED_PYTHON to use it as it is',
      )
    }
    await step('remove the old .venv', () => rm(VENV, { recursive: true, force: true }))
  }
  await step(`.venv of Python ${python.version} (${python.executable})`, async () => {
    await mkdir(VENV)
    await writeJson(VENV_RECORD, {
      state: 'unfinished',
      own: true,
      path: VENV,
      installed: {},
    })
    const args = ['-m', 'venv', VENV]
    const result = await runLogged('venv', python.executable, args, { env: PIP_ENVIRONMENT })
    if (result.ok) return
    const short = python.versionInfo.slice(0, 2).join('.')
    const remedy = /ensurepip/.test(result.output)
      ? `this Python has no ensurepip: install it (Debian: apt-get install python${short}-venv)`
      : 'read the lines above, or name another Python with TORCHBED_PYTHON'
    throw new Failure(ending('venv', 'python -m venv', result), remedy, lastLines(result.output))
  })
}

function pipInstall(files) {
  const extra = splitArguments(process.env.TORCHBED_PIP_ARGS ?? '')
  const requirements = files.flatMap((name) => ['-r', join(ROOT, name)])
  const args = ['-m', 'pip', 'install', ...requirements, ...extra]
  return runLogged('pip', VENV_PYTHON, args, { env: PIP_ENVIRONMENT })
}

function pipFailure(python, result) {
  const { output } = result
  const unreachable =
    /NewConnectionError|ConnectTimeout|ReadTimeout|Network is unreachable|name resolution/
  const remedies = []
  if (/No module named pip/.test(output)) {
    remedies.push('.venv has no pip: run ".venv/bin/python -m ensurepip", or delete .venv')
  }
  if (unreachable.test(output)) {
    remedies.push(
      'the package index cannot be reached: check the network and the proxy, or name an index ' +
        'or a folder of wheels, as in TORCHBED_PIP_ARGS="--no-index --find-links FOLDER"',
    )
  }
  const lacking = /No matching distribution found for ([\w-]+)|Cannot install ([\w-]+)/.exec(output)
  if (lacking !== null) {
    const without =
      process.env.TORCHBED_WITHOUT_TORCH === '1'
        ? ''
        : ', or do without torch (TORCHBED_WITHOUT_TORCH=1; the tests that need it are skipped)'
    remedies.push(
      `pip finds no ${lacking[1] ?? lacking[2]} for Python ${python.version} on this platform: ` +
        `name another Python with TORCHBED_PYTHON${without}`,
    )
  }
  if (/No space left/.test(output)) {
    remedies.push('the disk is full: torch needs about 1 GB, with CUDA about 8 GB')
  }
  if (remedies.length === 0) remedies.push('read the lines above, put that right and start again')
  const remedy = remedies.join('; ')
  return new Failure(ending('pip', 'pip', result), remedy, lastLines(output))
}
