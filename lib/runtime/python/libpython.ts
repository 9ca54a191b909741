/** Where an interpreter's shared library is, given what the interpreter says of itself. */
import { access } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import type { ProbeFacts } from './python-probe.js'

/** What {@link locateLibpython} looks at, a part of the probe's answer. */
export type LibpythonFacts = Pick<
  ProbeFacts,
  'versionInfo' | 'prefix' | 'basePrefix' | 'mapped' | 'config'
>

/**
 * Return the absolute path of the shared libpython, or null when there is none.
 *
 * What the running interpreter has loaded comes first, for it cannot be wrong. A statically linked
 * interpreter (Debian, conda) has loaded none, but may ship one all the same: then the build's own
 * names are looked for in the build's own folders. The macOS and Windows places follow CPython's
 * installers and have not been run yet.
 */
export async function locateLibpython(facts: LibpythonFacts): Promise<string | null> {
  for (const path of libpythonCandidates(facts)) {
    if (await exists(path)) return path
  }
  return null
}

/** Every place where the shared library may be, best first; absolute paths. */
export function libpythonCandidates(facts: LibpythonFacts): string[] {
  const { config, basePrefix, prefix } = facts
  const names = libraryNames(facts)
  const folders = [
    config.LIBDIR,
    config.LIBDIR && config.MULTIARCH && join(config.LIBDIR, config.MULTIARCH),
    join(basePrefix, 'lib'),
    config.LIBPL,
    config.PYTHONFRAMEWORKPREFIX,
    ...(process.platform === 'win32' ? [basePrefix, prefix] : []),
  ]
  const places = folders
    .filter((folder): folder is string => typeof folder === 'string' && isAbsolute(folder))
    .flatMap((folder) => names.map((name) => join(folder, name)))
  return [...new Set([...mappedLibraries(facts), ...places])]
}

function mappedLibraries({ mapped, versionInfo: [major, minor] }: LibpythonFacts): string[] {
  const wanted = new RegExp(`^libpython${major}\\.${minor}[a-z]*\\.so(\\.\\d+)*$`)
  return mapped.filter((path) => wanted.test(basename(path)))
}

function libraryNames({ config, versionInfo: [major, minor] }: LibpythonFacts): string[] {
  const fromBuild = [config.INSTSONAME, config.LDLIBRARY].filter(
    (name): name is string => typeof name === 'string' && !/(^|\.a|\.lib|\.exe)$/i.test(name),
  )
  const usual = {
    darwin: [`libpython${major}.${minor}.dylib`],
    win32: [`python${major}${minor}.dll`],
  }[process.platform as string] ?? [
    `libpython${major}.${minor}.so.1.0`,
    `libpython${major}.${minor}.so`,
  ]
  return [...fromBuild, ...usual]
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
