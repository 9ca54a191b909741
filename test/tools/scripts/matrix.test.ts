/** The command `npm run matrix`: options, cells, table, exit code. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { findPython } from '../../../lib/index.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'

const COMMAND = join(packageRoot(), 'scripts', 'matrix.mjs')
const MAJOR = process.versions.node.split('.')[0]!

/** The parts of a result that the table is made of. */
interface Result {
  date: string
  torchbed: string
  platform: string
  glibc: string | null
  npm: string
  libraries: string
  nodes: Record<string, string>
  rows: { name: string; kind: string; origin: string; python: string; torch: string | null }[]
  skipped: string[]
  cells: { name: string; row: string; major: number; seconds: number; problems: string[] }[]
}

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [COMMAND, ...args], { encoding: 'utf8' })
}

/** A module of the command. */
async function load<Module>(name: string): Promise<Module> {
  const url = pathToFileURL(join(dirname(COMMAND), 'matrix', name)).href
  return (await import(url)) as Module
}

describe('the command that installs the package everywhere', () => {
  it('lists its options', () => {
    const { status, stdout } = run('--help')
    assert.equal(status, 0)
    for (const option of ['nodes', 'pythons', 'only', 'json', 'readme', 'help']) {
      assert.match(stdout, new RegExp(`--${option}\\b`))
    }
  })

  for (const [args, message] of [
    [['--nodes', '20,x'], /--nodes cannot be "x"\nWhat to do: give major versions such as 22/],
    [['--pythons', 'three'], /--pythons cannot be "three"\nWhat to do: give versions such as/],
    [['--pythons', '3.99'], /this machine has no python3\.99.*\nWhat to do: install it/],
    [['--pythons', './no/python'], /no\/python.*\nWhat to do: give another one/],
    [['--readme', '--only', '*'], /--readme cannot go with.*\nWhat to do: leave one of them out/],
    [['--fast'], /Unknown option '--fast'/],
  ] as const) {
    it(`refuses ${args.join(' ')} and says what to do`, function () {
      if (process.platform === 'win32') this.skip()
      const { status, stdout, stderr } = run(...args)
      assert.deepEqual([status, stdout], [2, ''])
      assert.match(stderr, message)
    })
  }

  it('fails when no cell was run', function () {
    if (process.platform === 'win32') this.skip()
    const { status, stdout } = run('--nodes', MAJOR, '--only', 'nothing')
    assert.equal(status, 1)
    assert.match(stdout, /^No cell was executed\.$/m)
  })

  it('passes a cell that trains, and fails one whose torch cannot be imported', async function () {
    if (process.platform === 'win32') this.skip()
    this.timeout(240_000)
    const folder = await mkdtemp(join(tmpdir(), 'torchbed-matrix-test-'))
    try {
      const good = (await findPython()).executable
      const broken = await venvWithBrokenTorch(good, join(folder, 'broken'))
      const json = join(folder, 'results.json')
      const pythons = ['--pythons', `${good},${broken}`, '--only', '*/named-*', '--json', json]
      const { status, stdout, stderr } = run('--nodes', MAJOR, ...pythons)
      if (/npm error.*(ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT)/.test(stderr)) this.skip() // no network
      assert.equal(status, 1, stdout + stderr)
      const { cells, rows } = JSON.parse(await readFile(json, 'utf8')) as Result
      const byRow = new Map(cells.map(({ row, problems }) => [row, problems]))
      const [first, second] = rows.map(({ name }) => name)
      assert.deepEqual(byRow.get(first!), [])
      assert.deepEqual(byRow.get(second!), ['it ended with exit code 1'])
      assert.match(stderr, /No module named 'torch'/)
      const kept = /folder: (.*)$/m.exec(stderr)?.[1]
      assert.ok(kept !== undefined, stderr)
      await rm(dirname(dirname(kept)), { recursive: true })
      const again = `again: npm run matrix -- --nodes ${MAJOR} --pythons '${good},${broken}'`
      assert.ok(stdout.includes(`failed: node${MAJOR}/${second!}; ${again}`), stdout)
      assert.match(stdout, new RegExp(`^${second!} +FAILED, torch 9\\.9$`, 'm'))
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})

/** A virtual environment that lists torch among its packages and has none; path of its interpreter. */
async function venvWithBrokenTorch(python: string, folder: string): Promise<string> {
  const { status, stderr } = spawnSync(python, ['-m', 'venv', '--without-pip', folder])
  assert.equal(status, 0, String(stderr))
  const [version] = await readdir(join(folder, 'lib'))
  const packages = join(folder, 'lib', version!, 'site-packages')
  await mkdir(join(packages, 'torch-9.9.dist-info'))
  await writeFile(join(packages, 'torch-9.9.dist-info', 'METADATA'), 'Name: torch\nVersion: 9.9\n')
  return join(folder, 'bin', 'python')
}

describe('a cell of the matrix', () => {
  const row = { python: { version: '3.11.7', prefix: '/python' }, venv: '/venv', torch: '2.13.0' }
  const report = {
    ...{ node: 'v22.1.0', python: '3.11.7', prefix: '/venv', torch: '2.13.0' },
    ...{ examples: 1280, lossBefore: 2.3, lossAfter: 0.01 },
  }
  type Differences = (given: typeof row, node: object, seen: Partial<typeof report>) => string[]

  for (const [change, problem] of [
    [{}, null],
    [{ node: 'v20.1.0' }, 'Node.js is v20, not v22'],
    [{ python: '3.11.2' }, 'Python is 3.11.2, not 3.11.7'],
    [{ prefix: '/usr' }, 'sys.prefix is /usr, not /venv'],
    [{ torch: '2.13.0+cu130' }, null],
    [{ torch: '2.12.1+cu130' }, 'torch is 2.12.1, not 2.13.0'],
    [{ torch: 'none' }, 'torch is none, not 2.13.0'],
    [{ examples: 0 }, 'the number of examples is 0, not 1280'],
    [{ lossBefore: 0.01 }, 'the loss before training is 0.01, not above 1'],
    [{ lossAfter: NaN }, 'the loss after training is NaN, not below 0.05'],
  ] as const) {
    it(`${problem === null ? 'passes' : 'fails'} when ${problem ?? `all is as demanded, with ${JSON.stringify(change)}`}`, async () => {
      const { differences } = await load<{ differences: Differences }>('cell.mjs')
      const found = differences(row, { major: 22 }, { ...report, ...change })
      assert.deepEqual(found, problem === null ? [] : [problem])
    })
  }
})

describe('the table of the matrix', () => {
  const row = { kind: 'venv', origin: 'CPython' }
  const result: Result = {
    ...{ date: '2026-01-02', torchbed: '0.1.0', platform: 'linux-x64', glibc: '2.36' },
    ...{ npm: '11.0.0', libraries: 'build/Release', nodes: { 20: '20.20.2', 22: '22.1.0' } },
    rows: [
      { ...row, name: 'venv-3.11', python: '3.11.7', torch: '2.13.0+cpu' },
      { ...row, name: 'venv-3.12', python: '3.12.1', torch: null },
    ],
    skipped: ['CPython 3.13: this machine has no python3.13'],
    cells: [
      { name: 'node20/venv-3.11', row: 'venv-3.11', major: 20, seconds: 3.21, problems: [] },
      { name: 'node22/venv-3.11', row: 'venv-3.11', major: 22, seconds: 1, problems: ['so'] },
      { name: 'node22/venv-3.12', row: 'venv-3.12', major: 22, seconds: 0.5, problems: [] },
    ],
  }

  it('has a row for each Python, a column for each Node.js, and says what failed and what did not run', async () => {
    const { textTable } = await load<{ textTable: (result: Result) => string }>('table.mjs')
    assert.deepEqual(textTable(result).split('\n'), [
      '           Node.js 20.20.2      Node.js 22.1.0',
      'venv-3.11  3.2 s, torch 2.13.0  FAILED, torch 2.13.0',
      'venv-3.12  -                    0.5 s, no torch',
    ])
  })

  it('takes the place of the old one in a document, and of nothing else', async () => {
    const { withTable } = await load<{ withTable: (text: string, table: string) => string }>(
      'readme.mjs',
    )
    const { markdownTable } = await load<{ markdownTable: (result: Result) => string }>('table.mjs')
    const table = markdownTable(result)
    const marks = ['<!-- matrix:start -->', '<!-- matrix:end -->'] as const
    const document = `before\n${marks[0]}\nold\n${marks[1]}\nafter\n`
    const once = withTable(document, table)
    assert.equal(once, `before\n${marks[0]}\n\n${table}\n\n${marks[1]}\nafter\n`)
    assert.equal(withTable(once, table), once)
    assert.match(
      table,
      /torchbed 0\.1\.0 on linux-x64, glibc 2\.36, npm 11\.0\.0, libraries of `build\/Release`, 2026-01-02/,
    )
    assert.match(table, /Not on that machine: CPython 3\.13/)
    assert.throws(() => withTable('no marks', table), /has no place for the table/)
  })
})
