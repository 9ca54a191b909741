/** The command `npm run test:long`: options, table, exit code. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../../lib/runtime/package-root.js'

const COMMAND = join(packageRoot(), 'scripts', 'test-long.mjs')

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [COMMAND, ...args], { encoding: 'utf8' })
}

describe('the command that runs the long tests', () => {
  it('lists its options', () => {
    const { status, stdout } = run('--help')
    assert.equal(status, 0)
    for (const option of ['only', 'quick', 'nodes', 'json', 'help']) {
      assert.match(stdout, new RegExp(`--${option}\\b`))
    }
  })

  for (const [args, message] of [
    [['--only', 'exit,nothing'], /there is no part "nothing"\nWhat to do: name some of: exit/],
    [['--nodes', '20,x'], /--nodes cannot be "x"\nWhat to do: give whole numbers from 1 on/],
    [['--times', '0'], /--times cannot be "0"/],
    [['--fast'], /Unknown option '--fast'/],
  ] as const) {
    it(`refuses ${args.join(' ')} and says what to do`, () => {
      const { status, stdout, stderr } = run(...args)
      assert.deepEqual([status, stdout], [2, ''])
      assert.match(stderr, message)
    })
  }

  it('fails when no cell was run', () => {
    const { status, stdout } = run('--quick', '--cell', 'nothing/*')
    assert.equal(status, 1)
    assert.match(stdout, /^No cell was executed\.$/m)
  })

  const linux = process.platform === 'linux' ? it : it.skip
  linux('runs the cells that are asked for, and writes what it found', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-full-'))
    try {
      const json = join(folder, 'results.json')
      const asked = ['--quick', '--only', 'exit', '--cell', 'finding/sig*', '--times', '2']
      const { status, stdout, stderr } = run(...asked, '--json', json)
      assert.equal(status, 0, stdout + stderr)
      assert.match(
        stdout,
        /^part +cells run +failures +seconds +load\nexit +4 +0 +\d+\.\d +\d+\.\d$/m,
      )
      assert.match(stderr, /^\[4\/4\] ok /m)
      const { node, parts } = JSON.parse(await readFile(json, 'utf8')) as Record<string, unknown>
      assert.equal(node, process.version)
      const [part] = parts as { name: string; cells: number; failures: unknown[] }[]
      assert.deepEqual([part?.name, part?.cells, part?.failures], ['exit', 4, []])
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
