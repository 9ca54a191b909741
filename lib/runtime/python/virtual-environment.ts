/** What is wrong with a virtual environment whose Python does not run. */
import { lstat, readFile, readlink, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { PythonNotFoundError } from '../../errors.js'
import { remakeEnvironment } from './install-commands.js'

/**
 * The error of a virtual environment that has lost the Python it was made from, or null when `path` is in no
 * such environment. Such a Python is gone when it was removed, upgraded to another version, or moved.
 *
 * @param path absolute path of an environment's interpreter, present or not
 */
export async function lostBase(path: string, cause?: unknown): Promise<PythonNotFoundError | null> {
  const folder = dirname(dirname(path))
  const config = await readFile(join(folder, 'pyvenv.cfg'), 'utf8').catch(() => null)
  if (config === null) return null
  const gone = (await danglingTarget(path)) ?? (await missingHome(config))
  if (gone === null) return null
  return new PythonNotFoundError(
    `Cannot use "${path}" as Python: the virtual environment ${folder} was made from ${gone}, which is gone`,
    {
      remedy: remakeEnvironment(folder),
      otherwise: 'Then install its packages again',
      cause,
    },
  )
}

/** Whether something is at `path`, a link that leads nowhere included. */
export async function isPresent(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

/** Where the chain of links that begins at `path` ends, when nothing is there. */
async function danglingTarget(path: string): Promise<string | null> {
  let target = path
  for (let links = 0; links < 40; links++) {
    const next = await readlink(target).catch(() => null)
    if (next === null) return links > 0 && !(await isPresent(target)) ? target : null
    target = resolve(dirname(target), next)
  }
  return target
}

/** The folder that `home` of a pyvenv.cfg names, when it is gone. */
async function missingHome(config: string): Promise<string | null> {
  const home = /^\s*home\s*=\s*(.+?)\s*$/im.exec(config)?.[1]
  if (home === undefined) return null
  const found = await stat(home).catch(() => null)
  return found?.isDirectory() ? null : home
}
