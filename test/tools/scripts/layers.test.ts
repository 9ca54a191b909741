/** The layers of lib/: what the linter refuses, and that no imports form a circle. */

import { strict as assert } from 'node:assert'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

import { ESLint, type Linter } from 'eslint'
import tseslint from 'typescript-eslint'

import { packageRoot } from '../../../lib/runtime/package-root.js'

const LIB_FOLDER = join(packageRoot(), 'lib')

const { LAYERS, layerRules } = (await import(
  new URL('../../../../scripts/layers.mjs', import.meta.url).href
)) as { LAYERS: Record<string, readonly string[]>; layerRules: Linter.Config[] }

const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: [
    { files: ['**/*.ts'], languageOptions: { parser: tseslint.parser } },
    ...layerRules,
  ],
})

/** The messages about one import in a file of lib/. */
async function messagesOf(file: string, imported: string): Promise<string[]> {
  const code = `import type { X } from '${imported}'\nexport type Y = X\n`
  const [result] = await eslint.lintText(code, { filePath: file })
  return result!.messages.map(({ message }) => message)
}

describe('the layers of lib/', () => {
  const refused: [file: string, imported: string][] = [
    ['lib/core/planted.ts', '../data/errors.js'],
    ['lib/json/planted.ts', '../schema/describe.js'],
    ['lib/lineage/planted.ts', '../store/errors.js'],
    ['lib/lineage/planted.ts', 'node:fs/promises'],
    ['lib/threads/planted.ts', '../store/errors.js'],
    ['lib/store/planted.ts', '../swarm/index.js'],
    ['lib/diloco/planted.ts', '../p2p/node.js'],
    ['lib/diloco/codecs/planted.ts', '../../p2p/node.js'],
    ['lib/p2p/planted.ts', '../project/torch-project.js'],
    ['lib/p2p/control/planted.ts', '../../diloco/round.js'],
    ['lib/training/planted.ts', '../cli/main.js'],
    ['lib/store/planted.ts', '../index.js'],
  ]
  for (const [file, imported] of refused) {
    it(`refuse ${imported} in ${file}`, async () => {
      assert.equal((await messagesOf(file, imported)).length, 1)
    })
  }

  const allowed: [file: string, imported: string][] = [
    ['lib/store/planted.ts', '../lineage/errors.js'],
    ['lib/store/planted.ts', 'node:fs/promises'],
    ['lib/lineage/planted.ts', 'node:crypto'],
    ['lib/p2p/control/planted.ts', '../../store/index.js'],
    ['lib/p2p/control/planted.ts', '../errors.js'],
    ['lib/diloco/planted.ts', '../swarm/index.js'],
  ]
  for (const [file, imported] of allowed) {
    it(`allow ${imported} in ${file}`, async () => {
      assert.deepEqual(await messagesOf(file, imported), [])
    })
  }

  it('name only folders below, so that no circle of folders can be allowed', () => {
    const below: string[] = []
    for (const [folder, allowedFolders] of Object.entries(LAYERS)) {
      assert.deepEqual(
        allowedFolders.filter((other) => !below.includes(other)),
        [],
        folder,
      )
      below.push(folder)
    }
  })

  it('cover every folder of lib but the command line', () => {
    const folders = readdirSync(LIB_FOLDER, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'cli')
      .map(({ name }) => name)
    assert.deepEqual(
      folders.filter((name) => !(name in LAYERS)),
      [],
    )
  })

  it('have no circle of imports', () => {
    assert.equal(circleIn(importsOfLib()), undefined)
  })
})

/** The files of lib/ with what they import from lib/, types included. */
function importsOfLib(): Map<string, string[]> {
  const files = readdirSync(LIB_FOLDER, { recursive: true, encoding: 'utf8' })
  const paths = files.filter((name) => name.endsWith('.ts')).map((name) => normalize(name))
  return new Map(
    paths.map((path) => {
      const text = readFileSync(join(LIB_FOLDER, path), 'utf8')
      const imports = [...text.matchAll(/^(?:import|export|\}) .*?from '(\.[^']+)\.js'$/gm)]
      return [path, imports.map(([, to = '']) => normalize(join(dirname(path), `${to}.ts`)))]
    }),
  )
}

/** The files of one circle, or undefined. */
function circleIn(imports: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path]
    if (done.has(path)) return undefined
    for (const next of imports.get(path) ?? []) {
      const circle = visit(next, [...trail, path])
      if (circle !== undefined) return circle
    }
    done.add(path)
    return undefined
  }
  for (const path of imports.keys()) {
    const circle = visit(path, [])
    if (circle !== undefined) return circle
  }
  return undefined
}
