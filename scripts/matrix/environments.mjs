/** Virtual environments with torch, one for each Python, kept in build/matrix. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines, run } from '../support/process.mjs'
import { note, step } from '../support/progress.mjs'
import { splitArguments } from '../support/split-arguments.mjs'
import { readJson, writeJson } from '../support/stamp.mjs'

const FOLDER = join(ROOT, 'build', 'matrix')

// What would have pip install elsewhere, or another Python's packages be found.
const PIP_ENVIRONMENT = {
  ...{ PIP_USER: undefined, PIP_TARGET: undefined, PIP_PREFIX: undefined, PIP_ROOT: undefined },
  ...{ PYTHONHOME: undefined, PYTHONPATH: undefined, VIRTUAL_ENV: undefined },
  ...{ PIP_DISABLE_PIP_VERSION_CHECK: '1', PIP_NO_INPUT: '1' },
}

/** What pip installs. Without numpy, torch warns at its first tensor. */
const PACKAGES = ['torch', 'numpy']

/** How pip says that an index has no torch for this Python, when it could ask the index. */
const NO_WHEEL = /No matching distribution found for torch\b|The user requested torch\b/

const UNREACHABLE = /NewConnectionError|ConnectTimeout|ReadTimeout|unreachable|name resolution/

/**
 * Make the environment of a row of the kind `venv`, or take the one that is there.
 *
 * @returns {Promise<{folder: string, torch: string | null}>} `torch`: its version, or null when there is no wheel
 *   of it for this Python, or none is wanted
 * @throws Failure
 */
export async function resolveVenv({ name, python }) {
  const folder = join(FOLDER, name)
  const key = [python.version, python.basePrefix, process.env.TORCHBED_PIP_ARGS ?? '', PACKAGES]
  const executable = join(folder, 'bin', 'python')
  const record = await readJson(join(folder, 'torchbed-matrix.json'))
  const isKept = JSON.stringify(record?.key) === JSON.stringify(key)
  const wantsTorch = process.env.TORCHBED_WITHOUT_TORCH !== '1'
  if (isKept && (record.torch !== null) === wantsTorch) return { folder, torch: record.torch }
  // One without torch is tried again: a wheel may have come out.
  if (!isKept || record.torch !== null) await makeVenv(folder, python)
  const torch = wantsTorch ? await installTorch(executable, python) : null
  if (wantsTorch && torch === null) note(`  pip finds no torch for CPython ${python.version}`)
  await writeJson(join(folder, 'torchbed-matrix.json'), { key, torch })
  return { folder, torch }
}

async function makeVenv(folder, python) {
  await step(`virtual environment of CPython ${python.version}`, async () => {
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    const args = ['-m', 'venv', folder]
    const { ok, ending, output } = await run(python.executable, args, { env: PIP_ENVIRONMENT })
    if (ok) return
    throw new Failure(
      `python -m venv ended with ${ending}`,
      'install what the lines above name, or leave that row out with --only',
      lastLines(output),
    )
  })
}

async function installTorch(executable, { version }) {
  return step(`torch for CPython ${version} (pip)`, async () => {
    const extra = splitArguments(process.env.TORCHBED_PIP_ARGS ?? '')
    const args = ['-m', 'pip', 'install', '--retries', '0', ...extra, ...PACKAGES]
    const { ok, ending, output } = await run(executable, args, { env: PIP_ENVIRONMENT })
    if (ok) return torchOf(executable)
    if (NO_WHEEL.test(output) && !UNREACHABLE.test(output)) return null
    throw new Failure(
      `pip install ${PACKAGES.join(' ')} ended with ${ending}`,
      'put that right, or do without torch: TORCHBED_WITHOUT_TORCH=1',
      lastLines(output),
    )
  })
}

/** Version of the torch that an interpreter has, or null. */
export async function torchOf(executable) {
  const program = `
import importlib.metadata as packages
try:
    print("torch", packages.version("torch"))
except packages.PackageNotFoundError:
    print("none")`
  const env = { PYTHONHOME: undefined, PYTHONPATH: undefined }
  const { ok, ending, output } = await run(executable, ['-c', program], { env })
  if (!ok) throw new Error(`${executable} ended with ${ending}: ${lastLines(output)}`)
  return /^torch (\S+)$/m.exec(output)?.[1] ?? null
}
