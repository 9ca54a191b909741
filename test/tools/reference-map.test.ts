/** docs/internals/reference-map.md: each name of torchbed in it exists, and so does each test that it cites. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { packageRoot } from '../../lib/runtime/package-root.js'

const root = packageRoot()
const compiled = fileURLToPath(new URL('../..', import.meta.url))
const map = readFileSync(join(root, 'docs', 'internals', 'reference-map.md'), 'utf8')

/** The rows of the tables with a head that begins so, without the head. */
function rows(head: string[]): string[][] {
  const found: string[][] = []
  let inside = false
  for (const line of map.split('\n')) {
    if (!line.startsWith('|')) {
      inside = false
      continue
    }
    const cells = line.split(/(?<!\\)\|/).slice(1, -1)
    const trimmed = cells.map((cell) => cell.trim())
    if (trimmed.join() === head.join()) inside = true
    else if (inside && !/^[- |]+$/.test(line)) found.push(trimmed)
  }
  return found
}

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>
}

const mapped = rows(['reference', 'specification', 'torchbed', 'proof'])
const later = rows(['reference', 'specification', 'there today'])

/** The modules behind the package's doors. */
const doors = Object.values(
  (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest).exports,
).flatMap((door) =>
  typeof door === 'string' ? [] : [door.types.replace('./dist/', '').replace('.d.ts', '.ts')],
)

/** The texts in backticks. */
const quoted = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, text]) => String(text))

/** Looks names up in the declarations that the compiler wrote, types and members included. */
class Declarations {
  readonly #program: ts.Program
  readonly #checker: ts.TypeChecker

  constructor(modules: Iterable<string>) {
    const files = [...modules].map((module) => this.#file(module))
    for (const file of files) assert.ok(existsSync(file), file)
    this.#program = ts.createProgram(files, {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      types: [],
      skipLibCheck: true,
    })
    this.#checker = this.#program.getTypeChecker()
  }

  #file(module: string): string {
    return join(compiled, module.replace(/\.ts$/, '.d.ts'))
  }

  /** Whether the module exports the name, which may go on with `.` and a member, static or not. */
  has(module: string, name: string): boolean {
    const source = this.#program.getSourceFile(this.#file(module))
    const symbol = source && this.#checker.getSymbolAtLocation(source)
    if (symbol === undefined) return false
    const [exported, member] = name.split('.') as [string, string?]
    let found = this.#checker.getExportsOfModule(symbol).find((it) => it.name === exported)
    if (found === undefined) return false
    if (found.flags & ts.SymbolFlags.Alias) found = this.#checker.getAliasedSymbol(found)
    return member === undefined || this.#types(found).some((type) => this.#hasMember(type, member))
  }

  #types(symbol: ts.Symbol): ts.Type[] {
    const types: ts.Type[] = []
    if (symbol.flags & ts.SymbolFlags.Value) types.push(this.#checker.getTypeOfSymbol(symbol))
    if (symbol.flags & ts.SymbolFlags.Type)
      types.push(this.#checker.getDeclaredTypeOfSymbol(symbol))
    return types
  }

  #hasMember(type: ts.Type, member: string): boolean {
    if (type.isUnion()) return type.types.some((it) => this.#hasMember(it, member))
    return this.#checker.getPropertyOfType(type, member) !== undefined
  }
}

/** The titles of a test file, in which `${…}` stands for any text. */
function titles(file: string): RegExp[] {
  const source = readFileSync(join(root, 'test', file), 'utf8')
  const calls = source.matchAll(/\b(?:it|describe|\.skip\))\(\s*(['"`])((?:\\.|(?!\1).)*)\1/g)
  return [...calls].map(([, , title]) => {
    const parts = String(title).split(/\$\{[^}]*\}+/)
    const escaped = parts.map((part) =>
      part.replace(/\\(.)/g, '$1').replace(/[.*+?^${}()|[\]\\]/g, '\\$&'),
    )
    return new RegExp(`^${escaped.join('.+')}$`)
  })
}

describe('the reference map', () => {
  it('has no empty cell, and a place in the specification in every row', () => {
    assert.ok(mapped.length > 100 && later.length > 5, `${mapped.length} rows, ${later.length}`)
    for (const row of [...mapped, ...later]) {
      assert.equal(row.length, later.includes(row) ? 3 : 4, row.join(' | '))
      for (const cell of row) assert.notEqual(cell, '', row.join(' | '))
      assert.match(String(row[1]), /^\[[a-z-]+(#[a-z-]+)?\]\(\S+\)$/, row.join(' | '))
    }
  })

  it('names only what the package, or the named module, exports', function () {
    this.timeout(120_000)
    const names = [...mapped, ...later]
      .flatMap((row) => quoted(String(row[2])))
      .map((name) => {
        const [module, inModule] = name.split('#') as [string, string?]
        return inModule === undefined
          ? { modules: doors, name }
          : { modules: [module], name: inModule }
      })
    // JavaScript's own is no name of ours.
    const ours = names.filter(({ name }) => name !== 'await using')
    const declarations = new Declarations(new Set(ours.flatMap(({ modules }) => modules)))
    const missing = ours.filter(
      ({ modules, name }) => !modules.some((module) => declarations.has(module, name)),
    )
    assert.deepEqual(
      missing.map(({ name }) => name),
      [],
    )
    assert.equal(declarations.has('lib/index.ts', 'TorchProject.nothing'), false)
    assert.equal(declarations.has('lib/index.ts', 'Nothing'), false)
  })

  it('cites only tests that there are', () => {
    const known = new Map<string, RegExp[]>()
    for (const row of mapped) {
      for (const proof of String(row[3]).split('<br>')) {
        const [, file, title] = /^`([^`]+)`: (.+)$/.exec(proof) ?? []
        assert.ok(file !== undefined && title !== undefined, proof)
        const patterns = known.get(file) ?? titles(file)
        known.set(file, patterns)
        assert.ok(
          patterns.some((pattern) => pattern.test(title)),
          `test/${file} has no test “${title}”`,
        )
      }
    }
  })
})
