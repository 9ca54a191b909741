/** What the sources of the repository export, and what they import from each other and from packages. */
import { existsSync, readdirSync } from 'node:fs'
import { join, normalize } from 'node:path'
import ts from 'typescript'
import { read, root } from './blocks.js'

export interface SourceFile {
  readonly path: string
  readonly text: string
  readonly exports: readonly string[]
  /** Modules as they are written, each with the names that are imported; `*` stands for all. */
  readonly imports: ReadonlyMap<string, ReadonlySet<string>>
}

/** Every TypeScript and JavaScript file of the repository that is not generated. */
export function sourceFiles(): SourceFile[] {
  return ['lib', 'test', 'bench', 'examples', 'scripts']
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.m?[jt]s$/.test(name))
        .map((name) => `${folder}/${name}`),
    )
    .concat('eslint.config.js')
    .map((path) => parse(path, read(path)))
}

/** The file of the repository that a relative import means; null for a package, or what is made at run time. */
export function targetOf(from: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null
  // Scripts import what is compiled.
  const path = normalize(join(from, '..', specifier)).replace(/^dist\//, '')
  const candidates = [path.replace(/\.(m?)js$/, '.$1ts'), path]
  return candidates.find((candidate) => existsSync(join(root, candidate))) ?? null
}

/** Looks at the syntax alone. */
export function parse(path: string, text: string): SourceFile {
  const exported: string[] = []
  const imports = new Map<string, Set<string>>()
  const take = (specifier: ts.Node | undefined, names: readonly string[]) => {
    if (!specifier || !ts.isStringLiteral(specifier)) return
    const known = imports.get(specifier.text) ?? new Set()
    for (const name of names) known.add(name)
    imports.set(specifier.text, known)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      take(node.moduleSpecifier, importedBy(node.importClause))
    } else if (ts.isExportDeclaration(node)) {
      const { exportClause: clause } = node
      const names = clause && ts.isNamedExports(clause) ? namesIn(clause.elements) : ['*']
      take(node.moduleSpecifier, names)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      take(node.arguments[0], ['*'])
    } else if (ts.isCallExpression(node) && node.expression.getText() === 'require') {
      take(node.arguments[0], ['*'])
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      take(node.argument.literal, ['*'])
    }
    exported.push(...exportedBy(node))
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true))
  return { path, text, exports: exported, imports }
}

function importedBy(clause: ts.ImportClause | undefined): string[] {
  const bindings = clause?.namedBindings
  const names = bindings && (ts.isNamedImports(bindings) ? namesIn(bindings.elements) : ['*'])
  return [...(clause?.name ? ['default'] : []), ...(names ?? [])]
}

function namesIn(elements: readonly (ts.ImportSpecifier | ts.ExportSpecifier)[]): string[] {
  return elements.map(({ name, propertyName }) => (propertyName ?? name).text)
}

function exportedBy(node: ts.Node): string[] {
  const modifiers = ts.canHaveModifiers(node) ? ts.getModifiers(node) : undefined
  if (!modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) return []
  if (ts.isVariableStatement(node)) {
    return node.declarationList.declarations.flatMap(({ name }) =>
      ts.isIdentifier(name) ? [name.text] : [],
    )
  }
  const { name } = node as ts.DeclarationStatement
  return name && ts.isIdentifier(name) ? [name.text] : []
}
