/** The packages: dependencies are what the library imports, and CONTRIBUTING.md says what each is for. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { read, root } from '../docs/blocks.js'

interface Manifest {
  readonly dependencies: Record<string, string>
  readonly devDependencies: Record<string, string>
  readonly peerDependencies: Record<string, string>
}

const manifest = JSON.parse(read('package.json')) as Manifest

describe('the packages', () => {
  it('that the library imports are dependencies, and no other', () => {
    const imported = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [
        ...read(join('lib', name)).matchAll(
          /^(?! \*).*\b(?:from |import\(|require\()'([^.'][^'\n]*)'/gm,
        ),
      ])
      .map(([, specifier]) => specifier!)
      .filter((specifier) => !specifier.startsWith('node:'))
      .map((specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)![0])
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
