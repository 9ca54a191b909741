/** The addon, the Python that is chosen, and the variables that change what Python is. */
import { execFile } from 'node:child_process'
import { delimiter } from 'node:path'
import { TorchbedError } from '../errors.js'
import { findAddon } from '../runtime/embedded/addon-place.js'
import type { ProbedPython, PythonInstallation } from '../runtime/python/find-python.js'
import { unsetVariable } from '../runtime/python/install-commands.js'
import { foreignPackages } from '../runtime/python/python-path.js'
import { failedCheck, type Check } from './check.js'

/** Where the addon is. Whether it loads shows only when it is loaded. */
export function checkAddon(): Check {
  try {
    const { path, chosenBecause } = findAddon()
    return { name: 'addon', status: 'ok', value: `${chosenBecause}: ${path}` }
  } catch (error) {
    if (!(error instanceof TorchbedError)) throw error
    return failedCheck('addon', error)
  }
}

/** What is known of the chosen Python without running it in this process. */
export function* describePython(python: PythonInstallation): Generator<Check> {
  const { version, chosenBecause, executable, libpython, prefix, basePrefix, skipped } = python
  for (const { path, because, error } of skipped) {
    const belongs = because.includes('environment') || because.includes('.venv')
    const check = failedCheck('skipped', error)
    const value = `${path} (${check.value})`
    // Being earlier on PATH is not a request for it.
    if (belongs) yield { ...check, status: 'warning', value }
    else yield { name: 'skipped', status: 'ok', value }
  }
  const value = `${version}, ${chosenBecause}: ${executable}`
  yield { name: 'python', status: 'ok', value }
  const environment =
    prefix === basePrefix ? `none; ${prefix}` : `${prefix}, made from ${basePrefix}`
  yield { name: 'venv', status: 'ok', value: environment }
  yield { name: 'libpython', status: 'ok', value: libpython }
}

/** `PYTHONHOME` and `PYTHONPATH`, where they are set. */
export function* checkVariables(
  python: Pick<ProbedPython, 'version' | 'versionInfo'>,
  env: NodeJS.ProcessEnv,
): Generator<Check> {
  const { PYTHONHOME, PYTHONPATH } = env
  if (PYTHONHOME) {
    yield {
      name: 'PYTHONHOME',
      status: 'warning',
      value: PYTHONHOME,
      detail:
        'torchbed ignores PYTHONHOME, but a Python in a separate process fails if it is wrong',
      remedy: unsetVariable('PYTHONHOME'),
    }
  }
  if (PYTHONPATH) {
    const check = { name: 'PYTHONPATH', value: PYTHONPATH }
    const foreign = foreignPackages(python, PYTHONPATH)
    if (foreign.length === 0) yield { ...check, status: 'ok' }
    else {
      yield {
        ...check,
        status: 'warning',
        detail: `PYTHONPATH has folders of another version than ${python.version}: ${foreign.join(delimiter)}`,
        remedy: unsetVariable('PYTHONPATH'),
      }
    }
  }
}

/** Longest wait for a Python to say which OpenSSL it has, in milliseconds. */
const OPENSSL_TIMEOUT_MS = 10_000

/**
 * Whether Python in this process uses the OpenSSL that it uses alone. Node.js exports its own, and a `_ssl`
 * that is bound to that is bound to a library it was not compiled for.
 *
 * @param inside `ssl.OPENSSL_VERSION` in a Node.js process, or null where Python has no ssl
 */
export async function checkOpenssl(executable: string, inside: string | null): Promise<Check> {
  const name = 'OpenSSL'
  const node = `Node.js ${process.versions.openssl}`
  if (inside === null) return { name, status: 'ok', value: `${node}, Python has none` }
  const alone = await opensslAlone(executable)
  const value = `Python ${opensslNumber(inside)}, ${node}`
  if (alone === null || alone === inside) return { name, status: 'ok', value }
  return {
    name,
    status: 'warning',
    value,
    detail: `Python uses "${inside}" in this process but "${alone}" on its own: its ssl is bound to another library`,
  }
}

function opensslNumber(version: string): string {
  return /\d+\.\d+\.\d+\w*/.exec(version)?.[0] ?? version
}

function opensslAlone(executable: string): Promise<string | null> {
  const args = ['-c', 'import ssl; print(ssl.OPENSSL_VERSION)']
  const options = { timeout: OPENSSL_TIMEOUT_MS, windowsHide: true }
  return new Promise((resolve) =>
    execFile(executable, args, options, (error, stdout) =>
      resolve(error === null ? (stdout.trim().split('\n').at(-1) ?? null) : null),
    ),
  )
}
