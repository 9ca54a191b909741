/**
 * Find the Python that this process is to run, by asking the interpreters themselves.
 *
 * The first of these that fits is chosen: the option `python`; `TORCHBED_PYTHON`; the active
 * virtual environment; the active conda environment; `.venv` in the working folder; `python3`,
 * `python` and `python3.14` to `python3.11` on `PATH`. To fit, it must be CPython 3.11 or newer
 * with a GIL and a shared library. One that is named (option or `TORCHBED_PYTHON`) must fit; the
 * others may be skipped.
 */
import { constants } from 'node:fs'
import { access, realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { InstallationError } from '../../errors.js'
import { locateLibpython } from './libpython.js'
import { isOtherMachine } from './elf-machine.js'
import { keepProbe, probePlace, readProbe } from './probe-cache.js'
import type { ProbeFacts } from './probe-facts.js'
import { runProbe, workingFolder, type ProbeOptions } from './python-probe.js'
import { isExecutable, programsOnPath } from './programs.js'
import * as refusals from './python-errors.js'
import { isPresent, lostBase } from './virtual-environment.js'

/** Newest minor version that is looked for by its own name (`python3.14`). */
const NEWEST_PYTHON_MINOR = 14

/** An interpreter that fits, as it describes itself. All paths are absolute. */
export interface ProbedPython {
  /** `sys.executable`: the interpreter behind a pyenv shim; a virtual environment's own path. */
  readonly executable: string
  /** Full version, such as `3.11.7` or `3.14.0rc1`. */
  readonly version: string
  readonly versionInfo: readonly [major: number, minor: number, micro: number]
  /** `sys.prefix`: the virtual environment, where there is one. */
  readonly prefix: string
  /** `sys.base_prefix`: the installation behind a virtual environment, else `prefix`. */
  readonly basePrefix: string
  /** The folder of its standard library. */
  readonly stdlib: string
  /** The shared library to load. */
  readonly libpython: string
  /** The folder that holds `Python.h`, or null when the headers are not installed. */
  readonly includeDir: string | null
}

/** The interpreter that was chosen. */
export interface PythonInstallation extends ProbedPython {
  /** Why this one, such as `TORCHBED_PYTHON names it`. */
  readonly chosenBecause: string
  /** Those that come first and do not fit; an active environment may be among them. */
  readonly skipped: readonly RefusedPython[]
}

/** An interpreter that was looked at and does not fit. */
export interface RefusedPython {
  readonly path: string
  /** Why it was looked at, as `chosenBecause`. */
  readonly because: string
  readonly error: InstallationError
}

/** Options of {@link findPython}. */
export interface FindPythonOptions extends ProbeOptions {
  /** The interpreter: a path, relative to `cwd`, or a name on `PATH`. Default: search. */
  readonly python?: string | undefined
  /**
   * Run the interpreters even where their answers are known from before. Default false: an answer is kept for the
   * life of the process, and on disk until the interpreter changes, unless `TORCHBED_PROBE_CACHE` is `0`.
   */
  readonly fresh?: boolean | undefined
}

/**
 * Choose the Python to run.
 *
 * @throws PythonNotFoundError when none fits (it lists each one tried, with the reason), or when
 *   the named one does not exist, cannot be run or is not CPython
 * @throws PythonTooOldError, PythonFreeThreadedError, PythonSharedLibraryError when the named one
 *   is of that kind
 */
export async function findPython(options: FindPythonOptions = {}): Promise<PythonInstallation> {
  const named = namedExecutable(options)
  if (named !== null) {
    const path = await resolveNamed(named.name, named.source, options)
    const python = await probePython(path, options)
    return { ...python, chosenBecause: `${named.source} names it`, skipped: [] }
  }
  const refused: RefusedPython[] = []
  for await (const found of searchPythons(options)) {
    if (!('error' in found)) return found
    refused.push(found)
  }
  throw refusals.noneFits(refused)
}

/**
 * Look at every interpreter that a search comes across, in the order of preference, one at a time.
 * A named interpreter plays no part here.
 */
export async function* searchPythons(
  options: FindPythonOptions = {},
): AsyncGenerator<PythonInstallation | RefusedPython> {
  const seen = new Set<string>()
  const skipped: RefusedPython[] = []
  for await (const { path, because } of candidates(options)) {
    const key = await withoutFolderLinks(path)
    if (seen.has(key)) continue
    seen.add(key)
    try {
      const python = await probePython(path, options)
      yield { ...python, chosenBecause: because, skipped: [...skipped] }
    } catch (error) {
      if (!(error instanceof InstallationError)) throw error
      const refused = { path, because, error }
      skipped.push(refused)
      yield refused
    }
  }
}

const probed = new Map<string, Promise<ProbedPython>>()

/**
 * Ask one interpreter what it is, and check that it fits. Answers are kept for the life of the
 * process, per executable, working folder and environment (a pyenv shim depends on both), and those of native
 * programs on disk (probe-cache.ts); failures are not kept.
 *
 * @param executable path of the interpreter, relative to `cwd`
 * @throws the errors of {@link findPython} for a named interpreter
 */
export function probePython(
  executable: string,
  options: FindPythonOptions = {},
): Promise<ProbedPython> {
  const { cwd = workingFolder(), env = process.env } = options
  const path = resolve(cwd, executable)
  const key = JSON.stringify([path, cwd, env])
  let answer = options.fresh === true ? undefined : probed.get(key)
  if (answer === undefined) {
    answer = probeNow(path, options)
    probed.set(key, answer)
    answer.catch(() => probed.delete(key))
  }
  return answer
}

async function probeNow(path: string, options: FindPythonOptions): Promise<ProbedPython> {
  const place = await probePlace(path, options.env ?? process.env)
  const kept = place !== null && options.fresh !== true ? await readProbe(place) : null
  const facts = kept ?? (await runProbe(path, options))
  const python = await describe(path, facts)
  if (place !== null && kept === null) {
    await keepProbe(place, { path, facts, libpython: python.libpython })
  }
  return python
}

async function describe(path: string, facts: ProbeFacts): Promise<ProbedPython> {
  const { version, versionInfo, prefix, basePrefix, stdlib } = facts
  refuseUnfit(path, facts)
  const libpython = await locateLibpython(facts)
  if (libpython === null) throw refusals.noSharedLibrary(path, facts)
  return {
    executable: facts.executable ?? path,
    version,
    versionInfo,
    prefix,
    basePrefix,
    stdlib,
    libpython,
    includeDir: await folderWithHeaders(facts.includeDirs),
  }
}

function refuseUnfit(path: string, facts: ProbeFacts): void {
  const { implementation, versionInfo, pointerBits, machine } = facts
  const [major, minor] = versionInfo
  if (implementation !== 'cpython') throw refusals.notCpython(path, implementation)
  if (major !== 3 || minor < refusals.OLDEST_PYTHON_MINOR) throw refusals.tooOld(path, facts)
  if (facts.freeThreaded) throw refusals.freeThreaded(path, facts)
  const nodeBits = ['arm', 'ia32'].includes(process.arch) ? 32 : 64
  if (pointerBits !== nodeBits || (machine !== null && isOtherMachine(machine))) {
    const processor = machine === null ? '' : ` for ${machine}`
    throw refusals.otherArchitecture(path, `a ${pointerBits}-bit Python${processor}`)
  }
}

async function folderWithHeaders(folders: readonly (string | null)[]): Promise<string | null> {
  for (const folder of folders) {
    if (folder !== null && (await isReadable(join(folder, 'Python.h')))) return folder
  }
  return null
}

interface Named {
  readonly name: string
  readonly source: string
}

function namedExecutable({ python, env = process.env }: FindPythonOptions): Named | null {
  if (python !== undefined) return { name: python, source: 'the option "python"' }
  const name = env.TORCHBED_PYTHON ?? ''
  return name === '' ? null : { name, source: 'TORCHBED_PYTHON' }
}

async function resolveNamed(
  name: string,
  source: string,
  { env = process.env, cwd = workingFolder() }: ProbeOptions,
): Promise<string> {
  if (!/[/\\]/.test(name)) {
    for await (const path of programsOnPath(name, env, cwd)) return path
    throw refusals.notOnPath(name, source)
  }
  const path = resolve(cwd, name)
  if (await isExecutable(path)) return path
  const lost = await lostBase(path)
  if (lost !== null) throw lost
  const inside = environmentPython(path)
  throw refusals.noExecutable(name, source, path, (await isPresent(inside)) ? inside : null)
}

interface Candidate {
  readonly path: string
  readonly because: string
}

async function* candidates({
  env = process.env,
  cwd = workingFolder(),
}: ProbeOptions): AsyncGenerator<Candidate> {
  const { VIRTUAL_ENV, CONDA_PREFIX } = env
  if (VIRTUAL_ENV) {
    const path = environmentPython(resolve(cwd, VIRTUAL_ENV))
    yield { path, because: 'it belongs to the active virtual environment (VIRTUAL_ENV)' }
  }
  if (CONDA_PREFIX) {
    const path = condaPython(resolve(cwd, CONDA_PREFIX))
    yield { path, because: 'it belongs to the active conda environment (CONDA_PREFIX)' }
  }
  const local = environmentPython(resolve(cwd, '.venv'))
  if (await isPresent(local)) {
    yield { path: local, because: 'it belongs to .venv in the working folder' }
  }
  const names = ['python3', 'python']
  for (let minor = NEWEST_PYTHON_MINOR; minor >= refusals.OLDEST_PYTHON_MINOR; minor -= 1) {
    names.push(`python3.${minor}`)
  }
  for (const name of names) {
    for await (const path of programsOnPath(name, env, cwd)) {
      yield { path, because: `it is the first suitable one on PATH, as "${name}"` }
    }
  }
}

function environmentPython(folder: string): string {
  return process.platform === 'win32'
    ? join(folder, 'Scripts', 'python.exe')
    : join(folder, 'bin', 'python')
}

function condaPython(folder: string): string {
  return process.platform === 'win32' ? join(folder, 'python.exe') : environmentPython(folder)
}

// Not of the file: a virtual environment's interpreter is itself a link, to another Python.
async function withoutFolderLinks(path: string): Promise<string> {
  const folder = await realpath(dirname(path)).catch(() => dirname(path))
  return join(folder, basename(path))
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  )
}
