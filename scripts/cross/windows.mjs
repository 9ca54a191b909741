/** The libraries for 64-bit Windows, compiled and linked by mingw-w64. */
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { loadFindPython } from '../setup/python.mjs'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines, onPath, run } from '../support/process.mjs'
import { step } from '../support/progress.mjs'

const FOLDER = join(ROOT, 'build', 'cross', 'windows-x64')
const COMPILER = 'x86_64-w64-mingw32-g++-posix'
const DLLTOOL = 'x86_64-w64-mingw32-dlltool'
export const OBJDUMP = 'x86_64-w64-mingw32-objdump'

/** Of the programs that a build takes, those that are not on PATH. */
export async function missingPrograms() {
  const missing = []
  for (const program of [COMPILER, DLLTOOL, OBJDUMP, 'cmake', 'ninja']) {
    if ((await onPath(program)) === null) missing.push(program)
  }
  return missing
}

/** Build all of them anew; returns their paths. */
export async function buildWindows() {
  const missing = await missingPrograms()
  if (missing.length > 0) {
    throw new Failure(
      `not on PATH: ${missing.join(', ')}`,
      'install them (Debian and Ubuntu: apt-get install g++-mingw-w64-x86-64 cmake ninja-build)',
    )
  }
  await rm(FOLDER, { recursive: true, force: true })
  await mkdir(FOLDER, { recursive: true })
  const include = await windowsHeaders()
  const node = await importLibrary('node', 'node.exe', await nodeApi())
  const python = await importLibrary('python3', 'python3.dll', await stableAbi(include))
  await step('native libraries for windows-x64 (cmake)', async () => {
    await must('cmake', [
      ...['-S', ROOT, '-B', FOLDER, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release'],
      `-DCMAKE_TOOLCHAIN_FILE=${join(ROOT, 'cmake', 'windows-x64.cmake')}`,
      `-DTORCHBED_PYTHON_INCLUDE=${include}`,
      `-DTORCHBED_PYTHON_LIBRARY=${python}`,
      `-DCMAKE_JS_LIB=${node}`,
    ])
    await must('cmake', ['--build', FOLDER])
  })
  return ['torchbed.node', 'torchbed_bridge.dll', 'torchbed_numerics.dll', 'torchbed_exit.dll'].map(
    (name) => join(FOLDER, 'Release', name),
  )
}

/** Headers of any Python, made those of one for Windows; returns the folder. */
async function windowsHeaders() {
  const { findPython } = await loadFindPython()
  const { executable, includeDir } = await findPython({ cwd: ROOT })
  if (includeDir === null) {
    throw new Failure(
      `Python.h is missing: ${executable} has no headers`,
      'install them (Debian and Ubuntu: apt-get install python3-dev), ' +
        'or name a Python that has them with TORCHBED_PYTHON',
    )
  }
  const include = join(FOLDER, 'include')
  await cp(includeDir, include, { recursive: true })
  await cp(join(ROOT, 'cmake', 'windows-x64', 'pyconfig.h'), join(include, 'pyconfig.h'))
  return include
}

/** All functions that node.exe exports for addons. */
async function nodeApi() {
  const folder = join(ROOT, 'node_modules', 'node-api-headers', 'def')
  const names = []
  for (const file of ['js_native_api.def', 'node_api.def']) {
    const text = await readFile(join(folder, file), 'utf8')
    names.push(...text.split(/\r?\n/).filter((line) => /^\w+$/.test(line) && line !== 'EXPORTS'))
  }
  return names
}

/** All that the headers declare as the stable ABI of 3.11, which is what python3.dll exports. */
async function stableAbi(include) {
  const source = join(FOLDER, 'stable-abi.cc')
  await writeFile(
    source,
    '#define PY_SSIZE_T_CLEAN\n#define Py_LIMITED_API 0x030B0000\n#include <Python.h>\n',
  )
  const text = await must(COMPILER, ['-E', '-P', '-I', include, source])
  const declarations = text.matchAll(
    /__attribute__\(\(dllimport\)\)([^;]*?)\b(_?Py\w+)\s*(?=[(;])/g,
  )
  return [...new Set([...declarations].map(([, , name]) => name))]
}

/** What a linker needs to know of a library that is not there: its name, and what it exports. */
async function importLibrary(name, file, symbols) {
  const definition = join(FOLDER, `${name}.def`)
  const library = join(FOLDER, `lib${name}.a`)
  await writeFile(definition, [`LIBRARY ${file}`, 'EXPORTS', ...symbols, ''].join('\n'))
  await must(DLLTOOL, ['--input-def', definition, '--output-lib', library])
  return library
}

async function must(command, args) {
  const { ok, ending, output } = await run(command, args)
  if (ok) return output
  throw new Failure(
    `${command} ended with ${ending}`,
    'read the lines below',
    lastLines(output, 40),
  )
}
