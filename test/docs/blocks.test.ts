/** Every fenced block of the documents: it runs, or its commands exist, and it prints what is said. */
import assert from 'node:assert/strict'
import { withTorch } from '../support/workloads.js'
import { blocksOf, documents, place, REASONS, type Block } from './blocks.js'
import { sameOutput } from './same-output.js'
import { Session } from './session.js'
import { SETUPS } from './setups.js'
import { checkCommand, checkTorchbed, commandsOf } from './shell.js'

/** Languages whose blocks are programs, or are read by one. */
const RUN = new Set(['js', 'ts', 'python', 'py', 'json', 'diff'])
const SHELL = new Set(['sh', 'bash', 'shell', 'console'])
/** What is neither: pictures, output, and files of other programs. */
const SHOWN = new Set(['text', 'html', 'yaml', 'toml', 'cmake', 'dockerfile', 'powershell'])

/** Whether a block is run in its document's folder. */
function isRun({ language, directive }: Block): boolean {
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

describe('the blocks of the documents', () => {
  for (const document of documents) {
    const blocks = blocksOf(document)
    const run = blocks.filter(isRun)
    if (run.length > 0) {
      const test = needsTorch(run) && !withTorch ? it.skip : it
      test(`${document}: its ${run.length} programs run, and print what it says`, async function () {
        this.timeout(120_000)
        const session = await Session.open()
        try {
          for (const block of run) await session.run(block)
          assert.deepEqual(session.unused(), [], 'saved, and used by no block below')
        } finally {
          await session.close()
        }
      })
    }

    const commands = blocks.filter(({ language }) => SHELL.has(language))
    if (commands.length > 0) {
      it(`${document}: its commands and their options exist`, async function () {
        this.timeout(60_000)
        const made = new Set(run.map(({ directive }) => directive.get('save') ?? ''))
        for (const block of commands) {
          for (const words of commandsOf(block.code)) {
            await checkCommand(words, made).catch((error: unknown) => {
              throw new Error(`${place(block)}: ${words.join(' ')}`, { cause: error })
            })
          }
        }
      })
    }
  }

  it('are all run, looked up, or shown for a reason that is in a closed list', () => {
    for (const block of documents.flatMap(blocksOf)) {
      const { language, directive } = block
      const reason = directive.get('not')
      if (reason !== undefined) assert.ok(reason in REASONS, `${place(block)}: ${reason}`)
      else
        assert.ok(
          [RUN, SHELL, SHOWN].some((set) => set.has(language)),
          `${place(block)}: ${language}`,
        )
    }
  })

  it('that show the usage of torchbed show options that it has', async function () {
    this.timeout(60_000)
    const shown = documents.flatMap(blocksOf).filter(({ language }) => language === 'text')
    const usages = shown.flatMap(({ code }) =>
      code.split('\n').filter((line) => /^torchbed [a-z]/.test(line)),
    )
    assert.ok(usages.length > 2)
    for (const usage of usages) await checkTorchbed(usage.split(' ').slice(1))
  })
})

describe('the check of the blocks', () => {
  it('finds an option, a script, a file and a program that are not there', async () => {
    const bad = [
      'npx torchbed train config.json --nothing',
      'torchbed nothing',
      'npm run nothing',
      'npm run bench -- --nothing',
      'node scripts/nothing.mjs',
      'nothing --help',
    ]
    for (const line of bad) {
      await assert.rejects(checkCommand(commandsOf(line)[0]!, new Set()), Error, line)
    }
    await checkCommand(commandsOf('A=1 npx torchbed train "x.json" --out y # z')[0]!, new Set())
  })

  it('tells output apart by its words and by its numbers', () => {
    const same = (left: string, right: string, shapeOnly = false) =>
      sameOutput(left, right, { shapeOnly }) === undefined
    assert.ok(same('loss 0.50\n', 'loss  0.55'))
    assert.ok(!same('loss 0.50', 'loss 0.75'))
    assert.ok(same('loss 0.50', 'loss 0.75', true))
    assert.ok(!same('loss 0.50', 'cost 0.50', true))
    assert.ok(!same('one\ntwo', 'one', true))
  })

  it('fails for a program that fails, and for JSON that its schema refuses', async () => {
    const session = await Session.open()
    const block = { document: 'x.md', line: 1, language: 'js', code: 'process.exit(3)\n' }
    try {
      await assert.rejects(session.run({ ...block, directive: new Map() }), /x\.md:1/)
      const json = { ...block, language: 'json', code: '{"runtime": {}}' }
      await assert.rejects(session.run({ ...json, directive: new Map([['as', 'train-config']]) }))
    } finally {
      await session.close()
    }
  })
})
