/** The TypeScript of the documents, under the strictest settings that a reader may have. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import ts from 'typescript'
import { blocksOf, documents, place, root } from './blocks.js'
import { inSetup } from './setups.js'

const OPTIONS: ts.CompilerOptions = {
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  types: ['node'],
  typeRoots: [join(root, 'node_modules', '@types')],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noEmit: true,
  skipLibCheck: true,
}

/** The complaints of the compiler about modules that are not on the disk, each with its name. */
function complaints(sources: ReadonlyMap<string, string>): string[] {
  // Inside the package, so that `torchbed` is itself.
  const paths = new Map(
    [...sources].map(([name, text], index) => [join(root, `block-${index}.mts`), { name, text }]),
  )
  const host = ts.createCompilerHost(OPTIONS)
  const onDisk = host.getSourceFile.bind(host)
  const existsOnDisk = host.fileExists.bind(host)
  host.fileExists = (path) => paths.has(path) || existsOnDisk(path)
  host.getSourceFile = (path, version) => {
    const block = paths.get(path)
    return block ? ts.createSourceFile(path, block.text, version) : onDisk(path, version)
  }
  const program = ts.createProgram([...paths.keys()], OPTIONS, host)
  return [...paths].flatMap(([path, { name }]) => {
    const file = program.getSourceFile(path)!
    const found = [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ]
    return found.map(
      ({ messageText }) => `${name}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`,
    )
  })
}

describe('the TypeScript of the documents', () => {
  it('is what the compiler takes', function () {
    this.timeout(120_000)
    const blocks = documents
      .flatMap(blocksOf)
      .filter(({ language, directive }) => language === 'ts' && !directive.has('not'))
    assert.ok(blocks.length > 3, `${blocks.length} blocks`)
    const sources = blocks.map((block): [string, string] => {
      const setup = block.directive.get('in')
      return [place(block), setup === undefined ? block.code : inSetup(setup, block.code)]
    })
    const wrong = "import { TorchProject } from 'torchbed'\nexport const x: number = TorchProject\n"
    const found = complaints(new Map([...sources, ['wrong', wrong]]))
    assert.deepEqual(
      found.filter((text) => !text.startsWith('wrong: ')),
      [],
    )
    assert.equal(found.length, 1, 'a wrong type is seen')
  })
})
