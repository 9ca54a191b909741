/** The Pythons of the matrix: which interpreters this machine has, and in which ways a user has one. */
import { existsSync } from 'node:fs'
import { readdir, realpath } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { probePython } from '../../dist/lib/runtime/python/find-python.js'
import { Failure } from '../support/failure.mjs'
import { PYTHONS } from './options.mjs'

/** Where Debian and what is made from it keep their own. */
const DEBIAN_PYTHON = '/usr/bin/python3'

/** The ways to have a Python, by the first part of a row's name. */
export const KINDS = {
  venv: 'active virtual environment',
  named: '`TORCHBED_PYTHON`',
  path: 'on `PATH`',
}

/**
 * The rows of the matrix.
 *
 * @param {string[] | null} asked versions or paths; null for the usual versions, as far as this machine has them
 * @returns {Promise<{rows: {name: string, kind: string, origin: string, python: object}[], skipped: string[]}>}
 *   `python` is what `probePython` answers; `origin` is `CPython` or `Debian's CPython`
 * @throws Failure when one that is asked for is absent or does not fit
 */
export async function findRows(asked) {
  const rows = []
  const skipped = []
  for (const name of asked ?? PYTHONS) {
    try {
      rows.push(...rowsOf(await probed(name), 'CPython', ''))
    } catch (error) {
      if (asked !== null) throw error
      skipped.push(`CPython ${name}: ${error.message}`)
    }
  }
  const debian = await debianPython()
  if (debian !== null && (asked ?? PYTHONS).includes(minorOf(debian))) {
    rows.push(...rowsOf(debian, "Debian's CPython", 'debian-'))
  }
  return { rows: rows.map(withOwnName), skipped }
}

/** Tells interpreters of one version apart: `venv-3.12`, `venv-3.12-2`. */
function withOwnName(row, index, rows) {
  const before = rows.slice(0, index).filter(({ name }) => name === row.name).length
  return before === 0 ? row : { ...row, name: `${row.name}-${before + 1}` }
}

function rowsOf(python, origin, prefix) {
  // Debian's is not named here: nothing is set for it, as for a user who has just installed it.
  const kinds = isEnvironment(python)
    ? ['named']
    : Object.keys(KINDS).filter((kind) => !(kind === 'named' && prefix !== ''))
  return kinds.map((kind) => ({
    name: `${prefix}${kind}-${minorOf(python)}`,
    kind,
    origin,
    python,
  }))
}

function isEnvironment({ prefix, basePrefix }) {
  return prefix !== basePrefix
}

export function minorOf({ versionInfo }) {
  return versionInfo.slice(0, 2).join('.')
}

async function probed(name) {
  const path = /[/\\]/.test(name) ? resolve(name) : await interpreter(name)
  if (path === null) {
    throw new Failure(
      `this machine has no python${name}, neither of pyenv nor on PATH`,
      `install it (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install ${name}), or give its path`,
    )
  }
  try {
    return await probePython(path)
  } catch (error) {
    throw new Failure(error.message, 'give another one with --pythons')
  }
}

/** Path of the newest CPython of a minor version: of pyenv, else on PATH, Debian's own set aside. */
async function interpreter(minor) {
  const pyenv = process.env.PYENV_ROOT ?? join(homedir(), '.pyenv')
  const versions = await readdir(join(pyenv, 'versions')).catch(() => [])
  const micro = (version) => Number(version.split('.')[2])
  const fitting = versions
    .filter((version) => version.startsWith(`${minor}.`) && Number.isInteger(micro(version)))
    .sort((one, other) => micro(other) - micro(one))
  const paths = fitting.map((version) => join(pyenv, 'versions', version, 'bin', `python${minor}`))
  const debian = await realpath(DEBIAN_PYTHON).catch(() => null)
  for (const folder of (process.env.PATH ?? '').split(delimiter).filter((part) => part !== '')) {
    const path = join(folder, `python${minor}`)
    const isShim = dirname(path) === join(pyenv, 'shims')
    if (existsSync(path) && !isShim && (await realpath(path)) !== debian) paths.push(path)
  }
  return paths.find((path) => existsSync(path)) ?? null
}

async function debianPython() {
  if (!existsSync('/etc/debian_version')) return null
  return probePython(DEBIAN_PYTHON).catch(() => null)
}
