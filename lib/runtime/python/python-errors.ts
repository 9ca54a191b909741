/** Why a Python is refused, and the command that repairs it: the texts of the library and of `torchbed doctor`. */
import {
  PythonFreeThreadedError,
  PythonNotFoundError,
  PythonSharedLibraryError,
  PythonTooOldError,
} from '../../errors.js'
import {
  installBeside,
  installLibpython,
  installPython,
  remakeEnvironment,
} from './install-commands.js'
import { libpythonCandidates } from './libpython.js'
import type { ProbeFacts } from './probe-facts.js'

/** Oldest supported minor version of Python 3: the first whose stable ABI has `Py_buffer`. */
export const OLDEST_PYTHON_MINOR = 11

const NAME_ANOTHER = 'Or name another Python with TORCHBED_PYTHON or the option "python"'

/** An interpreter that was looked at and does not fit, as far as a list says. */
interface Refused {
  readonly path: string
  readonly error: { readonly problem: string }
}

export function noneFits(refused: readonly Refused[]): PythonNotFoundError {
  const found = refused.length > 0 ? 'Tried and refused' : 'No interpreter is on PATH'
  return new PythonNotFoundError(
    `No usable Python found: torchbed needs CPython 3.${OLDEST_PYTHON_MINOR} or newer with a shared ` +
      `libpython. ${found}`,
    {
      remedy: installPython(),
      otherwise: 'Or activate its environment, or name it with TORCHBED_PYTHON',
      details: refused.map(({ path, error }) => `${path}: ${error.problem}`),
    },
  )
}

export function notOnPath(name: string, source: string): PythonNotFoundError {
  return new PythonNotFoundError(
    `Cannot find the Python "${name}" that ${source} names: it is not on PATH`,
    { remedy: installPython(), otherwise: 'Or give its whole path' },
  )
}

/** @param inside the interpreter of the environment that the path is the folder of, or null */
export function noExecutable(
  name: string,
  source: string,
  path: string,
  inside: string | null,
): PythonNotFoundError {
  return new PythonNotFoundError(
    `Cannot find the Python "${name}" that ${source} names: ${path} is not an executable file`,
    {
      otherwise:
        inside === null
          ? 'Correct the path, or leave it out to search for a Python'
          : `That folder is an environment: name ${inside} instead`,
    },
  )
}

/** @param reason such as `ended with exit code 1, saying "…"` */
export function doesNotRun(path: string, reason: string, cause: unknown): PythonNotFoundError {
  return new PythonNotFoundError(`Cannot use "${path}" as Python: it ${reason}`, {
    otherwise: 'Name a working CPython with TORCHBED_PYTHON or the option "python"',
    cause,
  })
}

export function notCpython(path: string, implementation: string): PythonNotFoundError {
  return new PythonNotFoundError(
    `"${path}" is ${implementation}, but only CPython can be embedded`,
    {
      remedy: installPython(),
      otherwise: 'Or name a CPython interpreter with TORCHBED_PYTHON or the option "python"',
    },
  )
}

export function tooOld(path: string, facts: ProbeFacts): PythonTooOldError {
  const { version, prefix, basePrefix } = facts
  return new PythonTooOldError(
    `"${path}" is Python ${version}, but torchbed needs 3.${OLDEST_PYTHON_MINOR} or newer`,
    {
      remedy:
        prefix === basePrefix ? installBeside(basePrefix) : remakeEnvironment(prefix, 'python3.12'),
      otherwise: NAME_ANOTHER,
    },
  )
}

export function freeThreaded(path: string, facts: ProbeFacts): PythonFreeThreadedError {
  const { version, basePrefix } = facts
  const short = shortVersion(facts)
  return new PythonFreeThreadedError(
    `"${path}" is a free-threaded build of Python ${version}, which the stable ABI does not cover`,
    {
      remedy: installBeside(basePrefix, short),
      otherwise: `Use the ordinary build (python${short} instead of python${short}t)`,
    },
  )
}

/** @param kind such as `a 32-bit Python` or `a Python for aarch64` */
export function otherArchitecture(path: string, kind: string): PythonSharedLibraryError {
  return new PythonSharedLibraryError(
    `"${path}" is ${kind}, and its library cannot be loaded by a ${process.arch} Node.js`,
    {
      remedy: installPython(),
      otherwise: 'Use a Python and a Node.js of one architecture',
    },
  )
}

export function noSharedLibrary(path: string, facts: ProbeFacts): PythonSharedLibraryError {
  const { version, prefix, basePrefix } = facts
  return new PythonSharedLibraryError(
    `"${path}" (Python ${version} in ${prefix}) has no shared libpython; looked for ` +
      libpythonCandidates(facts).join(', '),
    { remedy: installLibpython(basePrefix, version), otherwise: NAME_ANOTHER },
  )
}

function shortVersion({ versionInfo: [major, minor] }: ProbeFacts): string {
  return `${major}.${minor}`
}
