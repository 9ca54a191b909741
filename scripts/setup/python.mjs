/** The Python to work with: that of .venv, else one found on this machine. */
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { ROOT, VENV, VENV_PYTHON } from '../support/paths.mjs'
import { readJson } from '../support/stamp.mjs'

/** Set-up's note inside the .venv that it made; a .venv without it is somebody's own. */
export const VENV_RECORD = join(VENV, 'torchbed-setup.json')

/** The compiled module lib/runtime/python/find-python. */
export function loadFindPython() {
  return import(
    pathToFileURL(join(ROOT, 'dist', 'lib', 'runtime', 'python', 'find-python.js')).href
  )
}

/**
 * Choose the Python.
 *
 * @returns `python`: the interpreter; `venv`: `keep`, or `make` when .venv is absent, broken,
 *   half-made or belongs to a Python other than the one that TORCHBED_PYTHON names
 */
export async function choosePython() {
  const { findPython } = await loadFindPython()
  const present = await usableVenv()
  if (process.env.TORCHBED_PYTHON) {
    const python = await findPython({ cwd: ROOT })
    return { python, venv: present !== null && isSame(present, python) ? 'keep' : 'make' }
  }
  if (present !== null) return { python: present, venv: 'keep' }
  // A broken .venv, active or not, is no answer: look for the Python to make a new one from.
  const { VIRTUAL_ENV, ...env } = process.env
  if (VIRTUAL_ENV !== undefined && VIRTUAL_ENV !== VENV) env.VIRTUAL_ENV = VIRTUAL_ENV
  return { python: await findOutsideVenv(env), venv: 'make' }
}

async function findOutsideVenv(env) {
  const { findPython, searchPythons } = await loadFindPython()
  for await (const found of searchPythons({ env, cwd: ROOT })) {
    if (!('error' in found) && found.prefix !== VENV) return found
  }
  return findPython({ env, cwd: ROOT }) // fails, and says why each was refused
}

async function usableVenv() {
  const { probePython } = await loadFindPython()
  const record = await readJson(VENV_RECORD)
  // In a clone that was moved, the programs of .venv point to where it was.
  if (record !== null && (record.state !== 'ready' || record.path !== VENV)) return null
  try {
    await access(VENV_PYTHON)
    return await probePython(VENV_PYTHON, { cwd: ROOT })
  } catch {
    return null
  }
}

function isSame(one, other) {
  return one.basePrefix === other.basePrefix && one.version === other.version
}
