/** The doors of the package: what `package.json` exports, seen as a user's import sees it. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { packageRoot } from '../../../lib/runtime/package-root.js'

const root = packageRoot()

/** Most names of the everyday door, types included. */
const MAX_NAMES = 60

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly default: string }>>
}

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
const doors = Object.keys(exports).filter((door) => door !== './package.json')

/** The names that `lib/index.ts` exports, types included. */
function namesOfIndex(): string[] {
  const text = readFileSync(join(root, 'lib', 'index.ts'), 'utf8')
  const source = ts.createSourceFile('index.ts', text, ts.ScriptTarget.ES2022)
  return source.statements.flatMap((statement) => {
    assert.ok(ts.isExportDeclaration(statement), 'index.ts only re-exports')
    const { exportClause } = statement
    assert.ok(exportClause && ts.isNamedExports(exportClause), 'and names what it re-exports')
    return exportClause.elements.map(({ name }) => name.text)
  })
}

describe('the doors of the package', () => {
  it(`offer at most ${MAX_NAMES} names for every day`, () => {
    const names = namesOfIndex()
    assert.ok(names.includes('TorchProject'))
    assert.ok(names.length <= MAX_NAMES, `${names.length} names`)
    assert.equal(new Set(names).size, names.length)
  })

  for (const door of doors) {
    const specifier = `torchbed${door.slice(1)}`
    it(`open ${specifier} to an import by name`, async () => {
      const module = (await import(specifier)) as Record<string, unknown>
      assert.ok(Object.keys(module).length > 0)
    })
  }

  it('give the same class wherever it is exported', async () => {
    const everyday = (await import('torchbed')) as Record<string, unknown>
    for (const door of ['errors', 'training']) {
      const module = (await import(`torchbed/${door}`)) as Record<string, unknown>
      const shared = Object.keys(module).filter((name) => name in everyday)
      assert.ok(shared.length > 0)
      for (const name of shared) assert.equal(module[name], everyday[name], name)
    }
  })
})
