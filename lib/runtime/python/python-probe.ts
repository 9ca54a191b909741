/**
 * Ask an interpreter what it is: run it once with a small program and read its answer.
 *
 * The answer is facts only. What to make of them is decided in `find-python.ts` and `libpython.ts`.
 */
import { execFile, type ExecFileException } from 'node:child_process'
import { parse } from 'node:path'
import { foreignElfMachine } from './elf-machine.js'
import { ProbeFacts } from './probe-facts.js'
import { doesNotRun, otherArchitecture } from './python-errors.js'
import { lostBase } from './virtual-environment.js'

/** Longest wait for an answer, in milliseconds. A cold start from a slow disk takes seconds. */
export const PROBE_TIMEOUT_MS = 20_000

/** Most output kept of an interpreter, in characters. A real answer has about 1,000. */
const PROBE_OUTPUT_LIMIT = 256 * 1024

/** Starts the line that carries the answer; a `sitecustomize` may print other lines. */
const ANSWER_MARK = 'torchbed-probe:'

// Runs on every Python from 2.7 on, so that an old one is reported as old and not as broken. Paths
// are sent as the bytes that the file system holds, read as UTF-8, whatever the locale of the
// interpreter.
const PROBE_PROGRAM = `
import sys
sys.path[:] = [p for p in sys.path if p]  # a json.py in the working folder must not be imported
import json, os, struct, sysconfig
def text(value):
    if value is None or str is bytes:
        return value
    return os.fsencode(str(value)).decode('utf-8', 'replace')
def mapped():
    try:
        with open('/proc/self/maps', 'rb') as maps:
            paths = set(line.split(None, 5)[5].strip() for line in maps if b'/libpython' in line)
        return sorted(path.decode('utf-8', 'replace') for path in paths)
    except (IOError, OSError):
        return []
names = 'INSTSONAME LDLIBRARY LIBDIR LIBPL MULTIARCH PYTHONFRAMEWORKPREFIX'.split()
print('${ANSWER_MARK}' + json.dumps({
    'implementation': getattr(getattr(sys, 'implementation', None), 'name', 'cpython'),
    'version': sys.version.split()[0],
    'versionInfo': list(sys.version_info[:3]),
    'freeThreaded': bool(sysconfig.get_config_var('Py_GIL_DISABLED')),
    'pointerBits': struct.calcsize('P') * 8,
    'machine': os.uname()[4] if hasattr(os, 'uname') else None,
    'executable': text(sys.executable or None),
    'prefix': text(sys.prefix),
    'basePrefix': text(getattr(sys, 'base_prefix', sys.prefix)),
    'stdlib': text(sysconfig.get_path('stdlib')),
    'mapped': mapped(),
    'config': dict((name, text(sysconfig.get_config_var(name))) for name in names),
    'includeDirs': [
        text(sysconfig.get_path('include')),
        text(sysconfig.get_config_var('INCLUDEPY')),
    ],
}))
`

/** The working folder; the root of the file system when it was deleted, and relative paths lead nowhere. */
export function workingFolder(): string {
  try {
    return process.cwd()
  } catch {
    return parse(process.execPath).root
  }
}

/** Where and how an interpreter is run. */
export interface ProbeOptions {
  /** Its environment, of which `PYTHON*` variables are ignored. Default: `process.env`. */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** Working folder, which a pyenv shim looks at. Default: the working folder of this process. */
  readonly cwd?: string | undefined
  /** Longest time to wait for the answer, in milliseconds. Default: `PROBE_TIMEOUT_MS`. */
  readonly timeoutMs?: number | undefined
}

/**
 * Run `path` once and return what it says of itself.
 *
 * @param path absolute path of an executable file
 * @throws PythonNotFoundError when it cannot be run, fails, takes too long, or does not answer as
 *   Python does; PythonSharedLibraryError when it is a program for another processor
 */
export async function runProbe(path: string, options: ProbeOptions = {}): Promise<ProbeFacts> {
  const timeoutMs = options.timeoutMs ?? PROBE_TIMEOUT_MS
  const env = { ...(options.env ?? process.env) }
  delete env.__PYVENV_LAUNCHER__ // macOS: would replace sys.executable, and -E does not cover it
  const { error, stdout, stderr } = await run(path, {
    env,
    cwd: options.cwd ?? workingFolder(),
    timeout: timeoutMs,
  })
  if (error !== null) {
    const machine = await foreignElfMachine(path)
    if (machine !== null) throw otherArchitecture(path, `a Python for ${machine}`)
    const lost = await lostBase(path, error)
    if (lost !== null) throw lost
    const reason = explainFailure(error, timeoutMs)
    const printed = tellingLine(stderr) || tellingLine(stdout)
    throw doesNotRun(path, `${reason}${printed && `, saying "${printed}"`}`, error)
  }
  const answer = stdout.split(/\r?\n/).findLast((line) => line.startsWith(ANSWER_MARK))
  try {
    return ProbeFacts.fromJson(answer?.slice(ANSWER_MARK.length) ?? '')
  } catch (cause) {
    const printed = tellingLine(stdout)
    throw doesNotRun(path, `did not answer as Python does (it printed "${printed}")`, cause)
  }
}

interface RunResult {
  readonly error: ExecFileException | null
  readonly stdout: string
  readonly stderr: string
}

function run(
  path: string,
  options: { env: NodeJS.ProcessEnv; cwd: string; timeout: number },
): Promise<RunResult> {
  return new Promise((resolve) => {
    const child = execFile(
      path,
      ['-E', '-s', '-c', PROBE_PROGRAM],
      {
        ...options,
        killSignal: 'SIGKILL',
        maxBuffer: PROBE_OUTPUT_LIMIT,
        windowsHide: true,
      },
      (error, stdout, stderr) => resolve({ error, stdout, stderr }),
    )
    child.stdin?.on('error', () => undefined) // it may exit before its input is closed
    child.stdin?.end()
  })
}

function explainFailure(error: ExecFileException, timeoutMs: number): string {
  if (error.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return 'printed too much'
  if (error.killed === true) return `did not answer within ${timeoutMs / 1000} s`
  if (typeof error.code === 'number') return `ended with exit code ${error.code}`
  if (error.signal) return `was killed by ${error.signal}`
  return `cannot be run (${error.code ?? error.message})`
}

function tellingLine(output: string): string {
  const lines = output.trim().split(/\r?\n/)
  const line = lines[0]?.startsWith('Traceback') ? lines.at(-1) : lines[0]
  return (line ?? '').trim().slice(0, 200)
}
