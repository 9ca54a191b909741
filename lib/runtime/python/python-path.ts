/** A `PYTHONPATH` that ends Python before it can say why, and the process with it. */
import { realpath, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { PythonStartError } from '../../errors.js'
import type { ProbedPython } from './find-python.js'
import { unsetVariable } from './install-commands.js'
import { workingFolder } from './python-probe.js'

/**
 * Refuse a search path that would put another Python's standard library before the own one, or one below a
 * working folder that was deleted.
 *
 * @param pythonPath value of `PYTHONPATH`
 * @throws PythonStartError
 */
export async function refuseUnfitPath(
  python: Pick<ProbedPython, 'executable' | 'version' | 'stdlib'>,
  pythonPath: string | undefined,
): Promise<void> {
  const problem = (await lostFolder(pythonPath)) ?? (await foreignLibrary(python, pythonPath))
  if (problem === null) return
  throw new PythonStartError(
    `Cannot start Python ${python.version} (${python.executable}): PYTHONPATH has ${problem}`,
    { remedy: unsetVariable('PYTHONPATH') },
  )
}

async function lostFolder(pythonPath = ''): Promise<string | null> {
  // An empty entry is the working folder itself.
  const lost = pythonPath.split(delimiter).find((folder) => !isAbsolute(folder))
  if (pythonPath === '' || lost === undefined) return null
  try {
    await realpath('.') // process.cwd() may remember a folder that is gone.
    return null
  } catch {
    return `${JSON.stringify(lost)}, which is relative to the working folder, and that was deleted`
  }
}

async function foreignLibrary(
  python: Pick<ProbedPython, 'stdlib'>,
  pythonPath: string | undefined,
): Promise<string | null> {
  const own = await realpath(python.stdlib).catch(() => python.stdlib)
  for (const folder of foldersOf(pythonPath)) {
    if (!(await isStandardLibrary(folder))) continue
    if ((await realpath(folder)) === own) continue
    return `${folder}, the standard library of another Python`
  }
  return null
}

/**
 * The entries of a search path that are named after another version of Python, such as
 * `…/python3.12/site-packages`: their compiled modules do not load.
 */
export function foreignPackages(
  { versionInfo: [major, minor] }: Pick<ProbedPython, 'versionInfo'>,
  pythonPath: string | undefined,
): string[] {
  return foldersOf(pythonPath).filter((folder) => {
    const version = /[/\\]python(\d+\.\d+)(?=[/\\]|$)/i.exec(folder)?.[1]
    return version !== undefined && version !== `${major}.${minor}`
  })
}

/**
 * What to add to a start that failed: a search path may belong to another Python in ways that its folders do
 * not show.
 */
export function startRemedy(pythonPath: string | undefined): {
  remedy?: string
  otherwise?: string
} {
  if (pythonPath === undefined || pythonPath === '') return {}
  return {
    remedy: unsetVariable('PYTHONPATH'),
    otherwise: `PYTHONPATH is ${JSON.stringify(pythonPath)}, and may be meant for another Python`,
  }
}

function foldersOf(pythonPath = ''): string[] {
  return pythonPath
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => resolve(workingFolder(), folder))
}

async function isStandardLibrary(folder: string): Promise<boolean> {
  const marks = await Promise.all(
    [join('encodings', '__init__.py'), 'os.py'].map((mark) =>
      stat(join(folder, mark)).catch(() => null),
    ),
  )
  return marks.every((mark) => mark?.isFile() === true)
}
