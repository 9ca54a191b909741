/** The command line on terminals: it fits any width, and leaves the terminal as it was. */
import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { progressLine } from '../../../lib/cli/text/progress-bar.js'
import { fit, fitFields, widthOf, wrap } from '../../../lib/cli/text/width.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { torchbed } from '../../support/cli.js'
import { writeShards } from '../../support/shards.js'
import { onTerminal, rows, withoutEscapes, withTerminals } from '../../support/terminal.js'
import { workloadRoot } from '../../support/workloads.js'

const terminalDescribe = withTerminals ? describe : describe.skip

terminalDescribe('torchbed train on a terminal (skipped where there are no ptys)', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-terminal-'))
    await writeShards(join(folder, 'shards'), 3, 16)
    const config = {
      runtime: { module_search_roots: [workloadRoot], workload_factory: 'plain:create_mergeable' },
      dataset: { root: 'shards' },
      training: { windows: 6, peers: 2, evaluation_split: 'Test' },
    }
    await writeFile(join(folder, 'torchbed.json'), JSON.stringify(config))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const isProgress = (row: string) => /^[█░]|^ *\d+\/6|^window \d|^untrained/.test(row)

  for (const columns of [1, 20, 120]) {
    it(`keeps status and windows within one row of ${columns} columns`, async () => {
      const end = await onTerminal(['train'], { cwd: folder, columns })
      assert.equal(end.code, 0, end.output)
      const progress = rows(end.output).filter(isProgress)
      if (columns > 1) assert.ok(progress.length >= 7, end.output)
      for (const row of progress) assert.ok(widthOf(row) < columns, `${columns}: ${row}`)
      assert.match(withoutEscapes(end.output), /model\.safetensors/)
      assert.ok(!end.output.includes('\u001b[?25l'), 'the cursor is hidden')
      const afterStatus = end.output.slice(end.output.lastIndexOf('\u001b[J'))
      assert.doesNotMatch(afterStatus, /[█░]/)
    })
  }

  it('shows a progress bar of the workload as one line, and keeps its last state', async () => {
    const workload = `
import sys, time
from plain import Mergeable
class Barred(Mergeable):
    def train_window(self, state, batches):
        for i in range(400):
            sys.stderr.write(f"\\rbar {i + 1}/400"); sys.stderr.flush()
            time.sleep(0.001)
        return super().train_window(state, batches)
    def evaluate(self, state, split):
        print("line whole")
        return super().evaluate(state, split)
def create(config): return Barred(config or {})
`
    await writeFile(join(folder, 'barred.py'), workload)
    const config = {
      runtime: { module_search_roots: [workloadRoot, '.'], workload_factory: 'barred:create' },
      dataset: { root: 'shards' },
      training: { windows: 1, peers: 1, evaluation_split: 'Test' },
    }
    await writeFile(join(folder, 'torchbed.json'), JSON.stringify(config))
    const end = await onTerminal(['train'], { cwd: folder, columns: 80 })
    assert.equal(end.code, 0, end.output)
    const drawn = rows(end.output).filter((row) => row.includes('bar '))
    assert.ok(drawn.length > 1 && drawn.length < 100, `drawn ${drawn.length} times`)
    const kept = end.output.split('\n').map((line) =>
      withoutEscapes(
        line
          .split('\r')
          .filter((part) => part !== '')
          .at(-1) ?? '',
      ),
    )
    assert.deepEqual(
      kept.filter((line) => line.startsWith('bar ')),
      ['bar 400/400'],
    )
    assert.ok(kept.includes('line whole'), end.output)
  })

  it('continues within the new width when the terminal becomes narrower', async () => {
    const run = { cwd: folder, columns: 100, laterColumns: 24 }
    const end = await onTerminal(['train'], run)
    assert.equal(end.code, 0, end.output)
    const progress = rows(end.output).filter(isProgress)
    assert.ok(progress.some((row) => widthOf(row) > 60))
    const last = progress.slice(-6)
    for (const row of last) assert.ok(widthOf(row) < 24, row)
    // The status that was drawn across 100 columns took several rows of 24.
    assert.ok(/\[\d+A\r/.test(end.output), JSON.stringify(end.output))
  })

  it('has no colours with NO_COLOR, and still a status', async () => {
    const run = { cwd: folder, columns: 80, env: { NO_COLOR: '1' } }
    const end = await onTerminal(['train'], run)
    assert.doesNotMatch(end.output, /\[[\d;]*m/)
    assert.match(end.output, /\r.\[J[█░]/)
  })

  it('has neither status nor colours on a dumb terminal', async () => {
    const end = await onTerminal(['train'], { cwd: folder, columns: 80, env: { TERM: 'dumb' } })
    assert.equal(end.code, 0)
    assert.ok(!end.output.includes('\u001b'), end.output)
    assert.match(end.output, /^window 6\/6 /m)
  })
})

describe('every command of torchbed', () => {
  it('has --json, --quiet, examples and exit codes in its help, within 80 columns', async () => {
    const { stdout } = await torchbed(['--help'])
    const commands = [...stdout.matchAll(/^ {2}(\w+) \[options\]/gm)].map(([, name]) => name!)
    assert.ok(commands.length >= 3, stdout)
    for (const row of stdout.split('\n')) assert.ok(widthOf(row) <= 80, row)
    for (const command of commands) {
      const { stdout: help } = await torchbed([command, '--help'])
      for (const row of help.split('\n')) assert.ok(widthOf(row) <= 80, row)
      for (const part of [/--json/, /--quiet/, /^Exit codes: /m, /^Examples:\n {2}/m]) {
        assert.match(help, part, command)
      }
    }
  })

  it('is in docs/reference/cli.md with every option', async () => {
    const document = await readFile(join(packageRoot(), 'docs', 'reference', 'cli.md'), 'utf8')
    const { stdout } = await torchbed(['--help'])
    for (const [, command] of stdout.matchAll(/^ {2}(\w+) \[options\]/gm)) {
      const section = document.split(`\n## torchbed ${command!}\n`)[1]?.split('\n## ')[0] ?? ''
      const { stdout: help } = await torchbed([command!, '--help'])
      for (const [, option] of help.matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)) {
        const isCommon = ['--json', '--quiet', '--help'].includes(option!)
        assert.ok(
          (isCommon ? document : section).includes(`\`${option!}`),
          `${command!} ${option!}`,
        )
      }
    }
  })

  for (const [what, args, code, message] of [
    ['no command', [], 2, /^Usage: torchbed/],
    ['an unknown command', ['trian'], 2, /Did you mean train\?/],
    [
      'an unknown option',
      ['init', '--forec'],
      2,
      /Did you mean --force\?\)\nRun "torchbed init --help"/,
    ],
    ['a missing argument', ['inspect'], 2, /missing required argument/],
    ['too many arguments', ['init', 'a', 'b'], 2, /too many arguments/],
  ] as const) {
    it(`ends with ${code} for ${what}, and says so on stderr alone`, async () => {
      const end = await torchbed([...args])
      assert.deepEqual([end.code, end.stdout], [code, ''])
      assert.match(end.stderr, message)
    })
  }

  it('ends with 0 for --version and --help, on stdout alone', async () => {
    for (const option of ['--version', '--help']) {
      const end = await torchbed([option])
      assert.deepEqual([end.code, end.stderr], [0, ''])
      assert.notEqual(end.stdout, '')
    }
  })
})

describe('a text on a terminal', () => {
  const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 30 }), { minLength: 1 })

  it('takes two columns for a wide character, and none for a combining one', () => {
    assert.equal(widthOf('abc'), 3)
    assert.equal(widthOf('日本'), 4)
    assert.equal(widthOf('🙂'), 2)
    assert.equal(widthOf('e\u0301'), 1)
  })

  it('fits any width, cut or not, as fields too, and with a bar', () => {
    fc.assert(
      fc.property(texts, fc.nat(60), fc.double({ noNaN: true }), (parts, columns, fraction) => {
        assert.ok(widthOf(fit(parts.join(' '), columns)) <= columns)
        assert.ok(widthOf(fitFields(parts, columns)) <= columns)
        assert.ok(widthOf(fit(progressLine(fraction, parts, columns), columns)) <= columns)
      }),
    )
  })

  it('is cut with a mark', () => {
    assert.equal(fit('window 12', 7), 'window…')
    assert.equal(fit('window', 6), 'window')
  })

  it('is wrapped between words, and loses none', () => {
    fc.assert(
      fc.property(texts, fc.integer({ min: 1, max: 60 }), (parts, columns) => {
        const text = parts.join(' ')
        const lines = wrap(text, columns)
        assert.equal(lines.join(' '), text)
        for (const line of lines) assert.ok(widthOf(line) <= columns || !line.trim().includes(' '))
      }),
    )
  })

  it('has a bar that is as full as the fraction, at least its first text, and as many as fit', () => {
    const texts = ['3/8', 'window 4', '1.0 s']
    assert.equal(progressLine(0.5, texts, 60), '██████████░░░░░░░░░░ 3/8  window 4  1.0 s')
    assert.equal(progressLine(0.5, texts, 30), '████░░░░ 3/8  window 4  1.0 s')
    assert.equal(progressLine(0.5, texts, 24), '████░░░░ 3/8  window 4')
    assert.equal(progressLine(0.5, texts, 12), '████░░░░ 3/8')
    assert.equal(progressLine(0.5, texts, 5), '3/8')
  })
})
