/** Where an interpreter's shared library is, given what the interpreter says of itself. */
import { access } from 'node:fs/promises'
import { posix, win32, type PlatformPath } from 'node:path'
import type { ProbeFacts } from './probe-facts.js'

/** What {@link locateLibpython} looks at, a part of the probe's answer. */
export type LibpythonFacts = Pick<
  ProbeFacts,
  'versionInfo' | 'prefix' | 'basePrefix' | 'mapped' | 'config'
>

/**
 * Return the absolute path of the shared libpython, or null when there is none.
 *
 * On Windows it counts only with the `python3.dll` beside it, which the native addon needs too. The macOS and
 * Windows places follow CPython's installers and have not been run yet: docs/internals/platforms.md.
 *
 * @param exists whether there is such a file; default: asks the file system
 */
export async function locateLibpython(
  facts: LibpythonFacts,
  platform: NodeJS.Platform = process.platform,
  exists: (path: string) => Promise<boolean> = isThere,
): Promise<string | null> {
  for (const path of libpythonCandidates(facts, platform)) {
    if (!(await exists(path))) continue
    if (platform !== 'win32' || (await exists(stableAbiBeside(path)))) return path
  }
  return null
}

/**
 * Every place where the shared library may be, best first; absolute paths.
 *
 * What the running interpreter has loaded comes first, for it cannot be wrong. A statically linked interpreter
 * (Debian, conda) has loaded none, but may ship one all the same: then the build's own names are looked for in the
 * build's own folders, and after that the usual names in the installation. The build's folders are wrong in a Python
 * that was moved, as those of uv are.
 */
export function libpythonCandidates(
  facts: LibpythonFacts,
  platform: NodeJS.Platform = process.platform,
): string[] {
  const places =
    platform === 'win32'
      ? windowsPlaces(facts)
      : [...(platform === 'darwin' ? macPlaces(facts) : []), ...buildPlaces(facts, platform)]
  const path = pathOf(platform)
  const usable = places.flatMap(([folder, name]) =>
    typeof folder === 'string' && path.isAbsolute(folder) ? [path.join(folder, name)] : [],
  )
  return [...new Set([...mappedLibraries(facts, platform), ...usable])]
}

type Place = readonly [folder: string | null | undefined, name: string]

function mappedLibraries(
  { mapped, versionInfo: [major, minor] }: LibpythonFacts,
  platform: NodeJS.Platform,
): string[] {
  const wanted = new RegExp(`^libpython${major}\\.${minor}[a-z]*\\.so(\\.\\d+)*$`)
  return mapped.filter((path) => wanted.test(pathOf(platform).basename(path)))
}

/** Where the build's own words lead: Linux, pyenv and conda anywhere, macOS frameworks. */
function buildPlaces(facts: LibpythonFacts, platform: NodeJS.Platform): Place[] {
  const { config, basePrefix } = facts
  const names = libraryNames(facts, platform)
  const folders = [
    config.LIBDIR,
    config.LIBDIR && config.MULTIARCH && posix.join(config.LIBDIR, config.MULTIARCH),
    posix.join(basePrefix, 'lib'),
    config.LIBPL,
    config.PYTHONFRAMEWORKPREFIX,
  ]
  return folders.flatMap((folder) => names.map((name): Place => [folder, name]))
}

/**
 * A framework's library is the file `Python` of its version, which is `sys.base_prefix`: python.org, Homebrew, Xcode.
 * Found also where the framework was moved to.
 */
function macPlaces({ basePrefix }: LibpythonFacts): Place[] {
  const [, framework] = /\/(\w+)\.framework\/Versions\/[^/]+\/*$/.exec(basePrefix) ?? []
  return framework === undefined ? [] : [[basePrefix, framework]]
}

/**
 * Beside `python.exe`: python.org, uv, the Store and conda have no other place. The `python.exe` of a virtual
 * environment starts that of `sys.base_prefix`; one that was copied may have the library beside it.
 */
function windowsPlaces({
  basePrefix,
  prefix,
  versionInfo: [major, minor],
}: LibpythonFacts): Place[] {
  const folders = [basePrefix, prefix, win32.join(prefix, 'Scripts')]
  return folders.map((folder): Place => [folder, `python${major}${minor}.dll`])
}

function libraryNames(
  { config, versionInfo: [major, minor] }: LibpythonFacts,
  platform: NodeJS.Platform,
): string[] {
  const fromBuild = [config.INSTSONAME, config.LDLIBRARY].filter(
    (name): name is string => typeof name === 'string' && !/(^|\.a|\.lib|\.exe)$/i.test(name),
  )
  const usual =
    platform === 'darwin'
      ? [`libpython${major}.${minor}.dylib`]
      : [`libpython${major}.${minor}.so.1.0`, `libpython${major}.${minor}.so`]
  return [...fromBuild, ...usual]
}

/** The library of the stable ABI, which passes every call on to the one of the version. */
function stableAbiBeside(library: string): string {
  return win32.join(win32.dirname(library), 'python3.dll')
}

function pathOf(platform: NodeJS.Platform): PlatformPath {
  return platform === 'win32' ? win32 : posix
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
