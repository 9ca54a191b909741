import { bool, list, optional, record, text, tuple, u32, type Infer } from '../../schema/index.js'

const maybeText = optional(text)

/** What an interpreter says of itself when it is asked (python-probe.ts). */
export const ProbeFacts = record('python probe', {
  implementation: text,
  version: text,
  versionInfo: tuple('version_info', u32, u32, u32),
  freeThreaded: bool,
  pointerBits: u32,
  machine: maybeText,
  executable: maybeText,
  prefix: text,
  basePrefix: text,
  stdlib: text,
  mapped: list(text),
  config: record('sysconfig', {
    INSTSONAME: maybeText,
    LDLIBRARY: maybeText,
    LIBDIR: maybeText,
    LIBPL: maybeText,
    MULTIARCH: maybeText,
    PYTHONFRAMEWORKPREFIX: maybeText,
  }),
  includeDirs: list(maybeText),
})

/**
 * What an interpreter says of itself. Names are those of Python's `sys` and `sysconfig`.
 *
 * - `implementation`: `sys.implementation.name`, `cpython` for CPython
 * - `pointerBits`: 64, or 32 for a 32-bit build; `machine`: `os.uname().machine`, null on Windows
 * - `stdlib`: the folder of the standard library
 * - `mapped`: the libpython files that the running interpreter has loaded (Linux; else empty)
 * - `includeDirs`: folders that may hold `Python.h`, best first
 */
export type ProbeFacts = Infer<typeof ProbeFacts>
