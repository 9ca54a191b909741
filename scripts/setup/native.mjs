/** build/Release/torchbed.node and the libraries beside it, compiled by cmake-js. */
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { Failure } from '../support/failure.mjs'
import { ROOT } from '../support/paths.mjs'
import { lastLines, onPath } from '../support/process.mjs'
import { step } from '../support/progress.mjs'
import { changeTime, digest, filesBelow, readStamp, writeStamp } from '../support/stamp.mjs'
import { loadFindPython } from './python.mjs'
import { ending, runLogged } from './run-logged.mjs'

const LIBRARIES =
  process.platform === 'win32'
    ? ['torchbed_bridge.dll', 'torchbed_numerics.dll', 'torchbed_exit.dll']
    : ['torchbed_bridge.so', 'torchbed_numerics.so']
const PRODUCTS = ['torchbed.node', ...LIBRARIES].map((name) => join(ROOT, 'build', 'Release', name))
const TOOLS = ['cmake-js', 'node-addon-api', 'node-api-headers']

/**
 * Build the libraries unless they are up to date. They use Python's stable ABI, so that any
 * Python's headers will do and a change of the chosen Python needs no new build.
 *
 * @param python the chosen Python, or null
 */
export async function buildNative(python) {
  const key = await sourceKey()
  const stamp = await readStamp('native')
  if (stamp?.key === key && isSameTime(stamp.times, await Promise.all(PRODUCTS.map(changeTime)))) {
    return
  }
  await step('native libraries (cmake-js)', async () => {
    await compileNative(python, [])
    await writeStamp('native', { key, times: await Promise.all(PRODUCTS.map(changeTime)) })
  })
}

/** The compiled modules lib/cli/build/compile and lib/cli/build/tools. */
export async function loadBuild() {
  const load = (name) =>
    import(pathToFileURL(join(ROOT, 'dist', 'lib', 'cli', 'build', `${name}.js`)).href)
  return { ...(await load('compile')), ...(await load('tools')) }
}

/** Configure and build, whatever is there; `args` go to cmake-js. Nothing is downloaded. */
export async function compileNative(python, args) {
  await checkTools()
  const headers = await findHeaders(python)
  const all = [...args, `--CDTORCHBED_PYTHON_INCLUDE=${headers}`]
  await removeForeignCache()
  let result = await cmakeJs('configure', all)
  if (!result.ok) {
    await removeCache() // a killed run, or a compiler that is gone, may have left it unusable
    result = await cmakeJs('configure', all)
  }
  if (result.ok) result = await cmakeJs('build', all)
  if (!result.ok) {
    const remedy =
      'read the lines above; if a compiler or a header was updated, delete build/CMakeCache.txt ' +
      'and start again'
    const cause = ending(`native-${result.command}`, 'cmake-js', result)
    throw new Failure(cause, remedy, lastLines(result.output, 40))
  }
}

async function cmakeJs(command, args) {
  const script = join(packageFolder('cmake-js'), 'bin', 'cmake-js')
  const options = [script, command, '--log-level', 'warn', '--directory', ROOT, ...args]
  return { command, ...(await runLogged(`native-${command}`, process.execPath, options)) }
}

async function checkTools() {
  if ((await onPath('cmake')) === null) {
    throw new Failure(
      'cmake is not on PATH',
      'install CMake 3.20 or newer (Debian and Ubuntu: apt-get install cmake; ' +
        'macOS: brew install cmake)',
    )
  }
  if (process.platform === 'win32') return
  if (!(await anyOnPath('g++', 'clang++'))) {
    throw new Failure(
      'no C++ compiler is on PATH (neither g++ nor clang++)',
      'install one (Debian and Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; ' +
        'macOS: xcode-select --install)',
    )
  }
  if (!(await anyOnPath('ninja', 'make'))) {
    throw new Failure(
      'neither ninja nor make is on PATH',
      'install one (Debian and Ubuntu: apt-get install make; macOS: xcode-select --install)',
    )
  }
}

async function anyOnPath(...names) {
  const found = await Promise.all(names.map(onPath))
  return found.some((path) => path !== null)
}

async function findHeaders(python) {
  if (python?.includeDir) return python.includeDir
  const { searchPythons } = await loadFindPython()
  for await (const found of searchPythons({ cwd: ROOT })) {
    if (!('error' in found) && found.includeDir !== null) return found.includeDir
  }
  const version = python?.versionInfo.slice(0, 2).join('.') ?? '3'
  throw new Failure(
    `Python.h is missing: ${python?.executable ?? 'no Python found'} has no headers, ` +
      'nor has another Python on PATH',
    `install them (Debian and Ubuntu: apt-get install python${version}-dev; ` +
      'Fedora: dnf install python3-devel), ' +
      'or name a Python that has them with TORCHBED_PYTHON',
  )
}

// CMake refuses a cache that was written for another folder, as in a clone that was moved.
async function removeForeignCache() {
  const cache = await readFile(join(ROOT, 'build', 'CMakeCache.txt'), 'utf8').catch(() => null)
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(cache ?? '')?.[1]
  if (cache !== null && join(home ?? '', '.') !== join(ROOT, '.')) await removeCache()
}

async function removeCache() {
  for (const name of ['CMakeCache.txt', 'CMakeFiles', 'build.ninja', '.ninja_deps', '.ninja_log']) {
    await rm(join(ROOT, 'build', name), { recursive: true, force: true })
  }
}

async function sourceKey() {
  const sources = await filesBelow(['CMakeLists.txt', 'native'])
  const manifests = TOOLS.map((name) => join(packageFolder(name), 'package.json'))
  return digest([...sources, ...manifests.filter((path) => existsSync(path))], process.arch)
}

function packageFolder(name) {
  const require = createRequire(join(ROOT, 'package.json'))
  for (const folder of require.resolve.paths(name) ?? []) {
    if (existsSync(join(folder, name, 'package.json'))) return join(folder, name)
  }
  throw new Failure(`the npm package ${name} is missing`, 'run "npm ci"')
}

function isSameTime(before, now) {
  return now.every((time, index) => time !== null && time === before?.[index])
}
