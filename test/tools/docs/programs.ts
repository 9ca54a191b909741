/** Runs the programs of documents, each document in a folder of its own. */
import assert from 'node:assert/strict'
import { withTorch } from '../../support/workloads.js'
import { blocksOf, type Block } from './blocks.js'
import { Session } from './session.js'
import { SETUPS } from './setups.js'

/** Languages whose blocks are programs, or are read by one. */
export const RUN: ReadonlySet<string> = new Set(['js', 'ts', 'python', 'py', 'json', 'diff'])

/** Whether a block is run in its document's folder. */
export function isRun({ language, directive }: Block): boolean {
  if (directive.has('not')) return false
  return RUN.has(language) || directive.has('shell') || directive.has('output')
}

function needsTorch(blocks: readonly Block[]): boolean {
  const setups = blocks.map(({ directive }) => SETUPS[directive.get('in') ?? ''])
  return (
    setups.some((setup) => setup?.needsTorch) ||
    blocks.some(
      ({ code, language }) => language === 'python' && /^(import|from) torch\b/m.test(code),
    ) ||
    blocks.some(({ directive, code }) => directive.has('shell') && code.includes('torchbed train'))
  )
}

/** A test for each of the documents that has programs. */
export function testPrograms(documents: readonly string[]): void {
  for (const document of documents) {
    const run = blocksOf(document).filter(isRun)
    if (run.length === 0) continue
    const test = needsTorch(run) && !withTorch ? it.skip : it
    test(`${document}: its ${run.length} programs run, and print what it says`, async function () {
      this.timeout(240_000)
      const session = await Session.open()
      try {
        for (const block of run) await session.run(block)
        assert.deepEqual(session.unused(), [], 'saved, and used by no block below')
      } finally {
        await session.close()
      }
    })
  }
}
