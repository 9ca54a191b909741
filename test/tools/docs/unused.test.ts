/** Nothing is there that nobody needs: no export, no file, no package; and CONTRIBUTING.md says what each package is for. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { read, root } from './blocks.js'
import { parse, sourceFiles, targetOf, type SourceFile } from './sources.js'

interface Manifest {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly peerDependencies: Record<string, string>
  readonly scripts: Record<string, string>
}

const manifest = JSON.parse(read('package.json')) as Manifest
const packages = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.devDependencies)]

/** Exports that are used in no other file and only once, where they are declared, in their own. */
function deadExports(files: readonly SourceFile[]): string[] {
  const used = new Map<string, Set<string>>()
  for (const { path, imports } of files) {
    for (const [specifier, names] of imports) {
      const target = targetOf(path, specifier)
      if (target !== null) used.set(target, new Set([...(used.get(target) ?? []), ...names]))
    }
  }
  // Which of its siblings such a file imports is known at run time only.
  const open = files
    .filter(({ text }) => text.includes('import(`./${'))
    .map(({ path }) => dirname(path))
  return files.flatMap(({ path, text, exports }) => {
    const names = used.get(path)
    if (names?.has('*') || open.includes(dirname(path))) return []
    return exports
      .filter((name) => !names?.has(name))
      .filter((name) => (text.match(new RegExp(`\\b${name}\\b`, 'g')) ?? []).length < 2)
      .map((name) => `${path}: ${name}`)
  })
}

/** Files that are no test, that no file imports, and that no file, script or workflow names. */
function deadFiles(files: readonly SourceFile[]): string[] {
  const imported = new Set(
    files.flatMap(({ path, imports }) => [...imports.keys()].map((name) => targetOf(path, name))),
  )
  const named = [...files.map(({ text }) => text), read('package.json')].join('\n')
  return files
    .map(({ path }) => path)
    .filter((path) => !imported.has(path) && !/\.(test|test-d)\.ts$/.test(path))
    .filter((path) => !namesOf(path).some((name) => named.includes(name)))
}

/** How a file may be named where it is not imported: by its name, in a table, or in part, with `${…}` for the rest. */
function namesOf(path: string): string[] {
  const stem = path
    .split('/')
    .at(-1)!
    .replace(/\.\w+$/, '')
  const parts = stem.includes('-') ? [`${stem.slice(0, stem.lastIndexOf('-') + 1)}\${`] : []
  return [`${stem}.js`, `${stem}.mjs`, `${stem}.ts`, `'${stem}'`, ...parts]
}

describe('the sources', () => {
  const files = sourceFiles()

  it('have no unused export', () => {
    assert.ok(files.length > 300)
    assert.deepEqual(deadExports(files), [])
  })

  it('have no file that is neither run nor imported', () => {
    assert.deepEqual(deadFiles(files), [])
  })

  it('are found out for a dead export and a dead file', () => {
    const file = parse('lib/nobody-names-this.ts', 'export const neverRead = 1\n')
    assert.deepEqual(deadExports([file]), ['lib/nobody-names-this.ts: neverRead'])
    assert.deepEqual(deadFiles([file]), ['lib/nobody-names-this.ts'])
  })
})

describe('the packages', () => {
  it('are each imported, or named by a script, a config or the build', () => {
    const imported = new Set(
      sourceFiles()
        .flatMap(({ imports }) => [...imports.keys()])
        .map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)![0]),
    )
    const isConfig = (name: string) =>
      /\.(m?js|json|txt|gyp)$/.test(name) && !name.startsWith('package')
    const configs = readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isFile() && isConfig(entry.name))
      .map(({ name }) => readFileSync(join(root, name), 'utf8'))
    const scripts = sourceFiles()
      .filter(({ path }) => /^(scripts|lib\/cli\/build|test\/package)\//.test(path))
      .map(({ text }) => text)
    const text = [
      read('CONTRIBUTING.md').split('\n## Dependencies')[0],
      ...configs,
      ...scripts,
      ...Object.values(manifest.scripts),
    ].join('\n')
    const named = (name: string) => new RegExp(`(^|[^\\w@/-])${name}([^\\w-]|$)`, 'm').test(text)
    // Types of what is imported, and of the language.
    const isTypes = (name: string) => name.startsWith('@types/')
    assert.deepEqual(
      packages.filter((name) => !imported.has(name) && !named(name) && !isTypes(name)),
      [],
    )
  })

  it('that the library imports are dependencies, and no other', () => {
    const imported = sourceFiles()
      .filter(({ path }) => path.startsWith('lib/'))
      .flatMap(({ imports }) => [...imports.keys()])
      .filter((name) => !/^(\.|node:)/.test(name))
      .map((name) => /^(@[^/]+\/)?[^/]+/.exec(name)![0])
    const build = read('CMakeLists.txt') + read('scripts/build-native.mjs')
    const isNeeded = (name: string) => imported.includes(name) || build.includes(name)
    const { dependencies, peerDependencies } = manifest
    assert.deepEqual(
      [...new Set(imported)].filter((name) => !(name in { ...dependencies, ...peerDependencies })),
      [],
    )
    assert.deepEqual(
      Object.keys(peerDependencies).filter((name) => !imported.includes(name)),
      [],
    )
    assert.deepEqual(
      Object.keys(manifest.dependencies).filter((name) => !isNeeded(name)),
      [],
    )
  })

  it('are those of CONTRIBUTING.md, each with its reason', () => {
    const rows = [
      ...read('CONTRIBUTING.md').matchAll(
        /^\| `([^`]+)` +\| (dependency|development) +\| (.+?) +\|$/gm,
      ),
    ]
    const kinds = rows.map(([, name, kind]) => `${name!} ${kind!}`)
    const expected = [
      ...Object.keys(manifest.dependencies).map((name) => `${name} dependency`),
      ...Object.keys(manifest.devDependencies).map((name) => `${name} development`),
    ]
    assert.deepEqual(kinds.sort(), expected.sort())
    for (const [, name, , reason] of rows) assert.ok(reason!.length > 10, name)
  })
})
