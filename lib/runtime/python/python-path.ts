/** `PYTHONPATH` may hold the standard library of another Python, which ends this one before it can say why. */
import { realpath, stat } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { PythonStartError } from '../../errors.js'
import type { ProbedPython } from './find-python.js'
import { unsetVariable } from './installing.js'
import { workingFolder } from './python-probe.js'

/**
 * Refuse a search path that would put another Python's standard library before the own one.
 *
 * @param pythonPath value of `PYTHONPATH`
 * @throws PythonStartError
 */
export async function refuseForeignLibrary(
  python: Pick<ProbedPython, 'executable' | 'version' | 'stdlib'>,
  pythonPath: string | undefined,
): Promise<void> {
  const own = await realpath(python.stdlib).catch(() => python.stdlib)
  for (const folder of foldersOf(pythonPath)) {
    if (!(await isStandardLibrary(folder))) continue
    if ((await realpath(folder)) === own) continue
    throw new PythonStartError(
      `Cannot start Python ${python.version} (${python.executable}): PYTHONPATH has ${folder}, the standard ` +
        'library of another Python',
      { remedy: unsetVariable('PYTHONPATH') },
    )
  }
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
