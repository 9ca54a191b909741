/** A cut of the hostile surroundings that `npm run test:long` runs whole, and the means by which it judges. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { withTorch } from '../../support/workloads.js'
import { fits, runCell } from '../../long/surroundings/cell.js'
import { CELLS } from '../../long/surroundings/cells.js'

const linux = process.platform === 'linux' ? describe : describe.skip

/** test/process/runtime/environments.test.ts has the environments; bundles need a download. */
const CUT = [
  'surroundings/bind-now',
  'surroundings/python-home',
  'surroundings/python-path',
  'surroundings/python-path-library',
  'surroundings/python-startup',
  'surroundings/read-only',
  'surroundings/c-locale',
  'surroundings/folder-gone-path',
  'surroundings/stdout-closed',
  'surroundings/few-files',
  'surroundings/faulthandler-wasm',
  'surroundings/hashes',
  'surroundings/tls',
  'hooks/fork-leaves',
  'hooks/fork-works',
  'hooks/fork-returns',
  'hooks/spawn',
  'hooks/fork-worker',
  'hooks/start-processes',
  'hooks/daemonise',
  'hooks/change-folder',
  'hooks/stdout-text',
  'hooks/stdout-none',
  'hooks/stdout-closed',
  'hooks/leave',
]

linux('a process in hostile surroundings', () => {
  for (const name of CUT) {
    const cell = CELLS.get(name)
    const run = cell?.needsTorch && !withTorch ? it.skip : it
    run(cell?.what ?? name, async function () {
      const result = await runCell(name)
      if (result === null) return this.skip()
      assert.deepEqual(result.problems, [], result.report)
    })
  }
})

linux('the judge of a process in hostile surroundings', () => {
  it('sees a wrong code, another result, words on stdout and stderr, and an orphan', async () => {
    const cell = {
      what: 'that misbehaves',
      action: 'leave',
      shell: 'echo word; echo word >&2; { sleep 60 > /dev/null 2>&1 & }',
      result: [{ code: 'ERR_HOOK_RAISED' }],
    }
    const { problems } = (await runCell('judged', { cell })) ?? { problems: [] }
    const seen = [
      /^ended with exit code 5, not with exit code 0$/,
      /^left another result$/,
      /^has a stdout that does not match/,
      /^has a stderr that does not match/,
      /^left process \d+ \(sleep 60\) behind$/,
    ]
    assert.equal(problems.length, seen.length, problems.join('\n'))
    seen.forEach((pattern, i) => assert.match(problems[i]!, pattern))
  })

  for (const [expected, actual, answer] of [
    [{ a: 1, b: /^x/ }, { b: 'xy', a: 1 }, true],
    [{ a: 1 }, { a: 1, b: 2 }, false],
    [{ a: 1, b: 2 }, { a: 1 }, false],
    [[1, /2/], [1, 2], true],
    [[1], { 0: 1 }, false],
    [/x/, { x: 'x' }, false],
    [undefined, undefined, true],
    [undefined, [], false],
    [[], undefined, false],
    [true, 'true', false],
  ] as const) {
    it(`${answer ? 'takes' : 'refuses'} ${inspect(actual)} for ${inspect(expected)}`, () => {
      assert.equal(fits(expected, actual), answer)
    })
  }
})

describe('the surroundings in docs/internals/reliability.md', () => {
  const document = readFileSync(join(packageRoot(), 'docs', 'internals', 'reliability.md'), 'utf8')

  it('are the cells that are tested, each with what it promises', () => {
    const rows = [
      ...document.matchAll(
        /^\| `((?:surroundings|hooks|environments|bundles)\/[\w-]+)`\s*\| (.*?)\s*\|$/gm,
      ),
    ]
    const promised = new Map(rows.map(([, name, what]) => [name!, what!.replaceAll('`', '')]))
    const tested = new Map([...CELLS].map(([name, { what }]) => [name, what]))
    assert.deepEqual(promised, tested)
  })
})
