/** Every fenced block of the documents: it runs, or its commands exist, and it prints what is said. */
import assert from 'node:assert/strict'
import { blocksOf, documents, LONG_GUIDES, place, REASONS } from './blocks.js'
import { isRun, RUN, testPrograms } from './programs.js'
import { sameOutput } from './same-output.js'
import { Session } from './session.js'
import { checkCommand, checkTorchbed, commandsOf } from './shell.js'

/** Blocks of commands. */
const SHELL = new Set(['sh', 'bash', 'shell', 'console'])
/** What is neither: pictures, output, and files of other programs. */
const SHOWN = new Set(['text', 'html', 'yaml', 'toml', 'cmake', 'dockerfile', 'powershell'])

describe('the blocks of the documents', () => {
  testPrograms(documents.filter((document) => !LONG_GUIDES.includes(document)))

  for (const document of documents) {
    const blocks = blocksOf(document)
    const run = blocks.filter(isRun)
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
