/** Folders and files of this clone; all paths are absolute. */
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** What set-up remembers of earlier runs, and the logs of its steps. */
export const SETUP_FOLDER = join(ROOT, 'build', 'setup')

export const VENV = join(ROOT, '.venv')

export const VENV_PYTHON = venvProgram('python')

/** Path of a program inside the virtual environment, such as `ruff`. */
export function venvProgram(name) {
  return process.platform === 'win32'
    ? join(VENV, 'Scripts', `${name}.exe`)
    : join(VENV, 'bin', name)
}
