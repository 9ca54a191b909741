import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Machine } from '../../../bench/machine.js'
import { findPython } from '../../../lib/index.js'
import { measured, skipped, type Results, type RowSpec } from '../../../bench/row.js'

const COMMAND = fileURLToPath(new URL('../../../bench/run.js', import.meta.url))
const BUILD_NATIVE = fileURLToPath(new URL('../../../../scripts/build-native.mjs', import.meta.url))

function bench(...args: string[]) {
  return benchWith({}, ...args)
}

function benchWith(env: Record<string, string>, ...args: string[]) {
  return spawnSync(process.execPath, [COMMAND, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 120_000,
  })
}

describe('the command that measures', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed bench '))
  })
  after(() => rm(folder, { recursive: true }))

  describe('on rows that are asked for', () => {
    let end: ReturnType<typeof bench>
    let results: Results<Machine>

    before(async function () {
      this.timeout(240_000)
      // As `npm run bench` does before it begins.
      const args = [BUILD_NATIVE, '--out', 'build/bench', '--target', 'torchbed_hop']
      const build = spawnSync(process.execPath, args, { encoding: 'utf8' })
      assert.equal(build.status, 0, build.stdout + build.stderr)
      const json = join(folder, 'results.json')
      end = bench('--quick', '--only', 'call-hop,refs-1', '--json', json)
      assert.equal(end.status, 0, end.stdout + end.stderr)
      results = JSON.parse(await readFile(json, 'utf8')) as Results<Machine>
    })

    it('measures those and no others', () => {
      assert.deepEqual(
        results.rows.map(({ id }) => id),
        ['call-hop', 'refs-1'],
      )
    })

    it('gives each a ratio of its medians, and says whether it keeps to the limit', () => {
      for (const row of results.rows) {
        const { embedded_ms, hop_ms, subprocess_ms } = row.medians
        const other = hop_ms ?? subprocess_ms
        assert.ok(other !== undefined && other > 0 && embedded_ms! > 0)
        assert.equal(row.ratio, embedded_ms! / other)
        assert.equal(row.better, 'at most')
        assert.equal(row.ok, row.ratio <= row.limit)
        assert.ok(row.settings.rounds! >= 1 && row.seconds! > 0)
        assert.equal(row.skipped, undefined)
      }
      assert.deepEqual(
        results.rows.map(({ limit }) => limit),
        [1.3, 0.75],
      )
    })

    it('describes the machine and the versions', () => {
      const { machine, seconds } = results
      assert.ok(Math.abs(Date.now() - Date.parse(machine.date)) < 300_000)
      assert.equal(machine.node, process.versions.node)
      assert.match(machine.python, /^3\.\d+\.\d+/)
      assert.ok(machine.cpu !== '' && machine.cores >= 1 && machine.memory_gib >= 1)
      assert.equal(machine.quick, true)
      assert.ok(seconds >= results.rows.reduce((sum, row) => sum + row.seconds!, 0))
      if (process.env.TORCHBED_WITHOUT_TORCH !== '1') assert.match(machine.torch!, /^\d+\.\d+/)
    })

    it('prints results on stdout and progress on stderr', () => {
      assert.match(end.stdout, /^(ok {3}|short) call-hop .*embedded_ms/m)
      assert.match(end.stdout, /^\d ok, \d short, 0 skipped in \d+ s$/m)
      assert.match(end.stderr, /measuring refs-1$/m)
      assert.doesNotMatch(end.stdout, /measuring/)
    })
  })

  it('skips a row that needs torch where Python has none, and says so', async function () {
    // The Python below a virtual environment has none of its packages.
    const base = join((await findPython()).basePrefix, 'bin', 'python3')
    if (spawnSync(base, ['-c', 'import torch']).status !== 1) return this.skip()
    const json = join(folder, 'without-torch.json')
    const end = benchWith({ TORCHBED_PYTHON: base }, '--only', 'load-memcpy', '--json', json)
    assert.equal(end.status, 0, end.stdout + end.stderr)
    const { machine, rows } = JSON.parse(await readFile(json, 'utf8')) as Results<Machine>
    assert.equal(machine.torch, null)
    const row = rows[0]!
    assert.deepEqual([row.id, row.ratio, row.ok], ['load-memcpy', null, null])
    assert.equal(row.skipped, 'this Python has no torch')
    assert.match(end.stdout, /^skip {2}load-memcpy /m)
  })

  it('refuses a row that does not exist, and lists those that do', () => {
    const { status, stderr, stdout } = bench('--only', 'refs-1,call-hopp')
    assert.equal(status, 2)
    assert.match(stderr, /no row or group "call-hopp"/)
    assert.match(stderr, /^Rows: call-hop, .*\bpublish\b.*\btrain-gpt\b/m)
    assert.match(stderr, /^Groups: calls, artifacts/m)
    assert.equal(stdout, '')
  })

  it('refuses an option that does not exist, and points to --help', () => {
    const { status, stderr } = bench('--fast')
    assert.equal(status, 2)
    assert.match(stderr, /'--fast'/)
    assert.match(stderr, /--help/)
  })

  it('--list shows every row with its limit, below its group', () => {
    const { status, stdout } = bench('--list')
    assert.equal(status, 0)
    const lines = stdout.split('\n')
    assert.ok(lines.indexOf('calls') < lines.findIndex((line) => line.startsWith('  call-hop')))
    assert.match(stdout, /^ {2}call-low-latency +at most 0\.15 /m)
    assert.match(stdout, /^ {2}train-digits +at least 0\.98 /m)
    assert.match(stdout, /^ {2}loop-p99 +at most 5 ms /m)
    for (const id of ['publish', 'load-store', 'memory-publish', 'memory-load', 'start-up-torch']) {
      assert.match(stdout, new RegExp(`^ {2}${id} `, 'm'))
    }
  })

  it('--list with --only shows the rows and whole groups that are named', () => {
    const { status, stdout } = bench('--list', '--only', 'memory,refs-1')
    assert.equal(status, 0)
    const ids = [...stdout.matchAll(/^ {2}(\S+)/gm)].map(([, id]) => id)
    assert.deepEqual(ids, ['refs-1', 'memory-publish', 'memory-load'])
  })

  it('--help explains the options and how to read a row', () => {
    const { status, stdout } = bench('--help')
    assert.equal(status, 0)
    for (const word of ['--only', '--quick', '--json', '--list', 'ratio of two medians', 'short']) {
      assert.ok(stdout.includes(word), word)
    }
  })

  describe('a row', () => {
    const spec: RowSpec = { id: 'x', title: 'a / b', better: 'at least', limit: 2 }

    it('is ok when its ratio is at the limit, on the better side', () => {
      assert.equal(measured(spec, 2, {}, {}).ok, true)
      assert.equal(measured(spec, 1.99, {}, {}).ok, false)
      const most: RowSpec = { ...spec, better: 'at most' }
      assert.equal(measured(most, 2, {}, {}).ok, true)
      assert.equal(measured(most, 2.01, {}, {}).ok, false)
    })

    it('without a number is an error, never a result', () => {
      assert.throws(() => measured(spec, NaN, {}, {}), /x gave NaN/)
      assert.throws(() => measured(spec, 1 / 0, {}, {}), /x gave Infinity/)
    })

    it('that was skipped is neither ok nor short, and says why', () => {
      const row = skipped(spec, 'this Python has no torch')
      assert.deepEqual([row.ratio, row.ok, row.skipped], [null, null, 'this Python has no torch'])
    })
  })
})
