/** `npm run bench:plot`: from a results file to pictures and a page. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BEGIN, END } from '../../../bench/plot/page.js'
import { headroom } from '../../../bench/plot/ratio-chart.js'
import type { ResultRow, ResultsFile } from '../../../bench/plot/results.js'
import { logAxis } from '../../../bench/plot/svg.js'
import { packageRoot } from '../../../lib/runtime/package-root.js'

const root = packageRoot()

const machine: ResultsFile['machine'] = {
  date: '2026-01-02T03:04:05.000Z',
  cpu: 'A <fast> & "quiet" CPU',
  cores: 2,
  memory_gib: 16,
  system: 'linux 6.1 x64',
  node: '20.20.2',
  python: '3.11.7',
  torch: null,
  load_average: 0.25,
  quick: false,
}

function row(id: string, ratio: number | null, rest: Partial<ResultRow> = {}): ResultRow {
  const ok = ratio === null ? null : ratio <= 1.3
  const fixed = { id, title: `what ${id} is`, better: 'at most', limit: 1.3 } as const
  return { ...fixed, ratio, ok, medians: {}, ...rest }
}

const rows: ResultRow[] = [
  row('call-hop', 1.25, { medians: { embedded_ms: 0.0125, hop_ms: 0.01 } }),
  row('load-memcpy', 2.6, { medians: { load_ms: 260, memcpy_ms: 100 } }),
  row('ncp-call', 4, {
    title: 'theirs | <b>ours</b>',
    better: 'at least',
    limit: 1,
    ok: true,
    medians: { theirs_ms: 0.05, torchbed_ms: 0.0125 },
  }),
  row('loop-p99', -0.5, { unit: 'ms', limit: 5, ok: true }),
  row('publish', null, { skipped: 'this Python has no torch' }),
]

describe('npm run bench:plot', () => {
  let folder: string
  let file: string
  let page: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-plot-'))
    file = join(folder, 'results.json')
    page = join(folder, 'page.md')
    await writeFile(page, `# Before\n\n${BEGIN}\nold\n${END}\n\nAfter\n`)
    await write({ machine, seconds: 12.4, rows })
  })
  afterEach(() => rm(folder, { recursive: true }))

  const write = (results: unknown) => writeFile(file, JSON.stringify(results))
  const plot = async (...args: string[]) => {
    const script = join(root, 'dist', 'bench', 'plot', 'main.js')
    const places = ['--out', join(folder, 'out'), '--page', page]
    const run = promisify(execFile)(process.execPath, [script, ...args, ...places])
    return run.then(
      ({ stdout }) => ({ code: 0, text: stdout }),
      (error: unknown) => {
        const { code, stderr } = error as { code: number; stderr: string }
        return { code, text: stderr }
      },
    )
  }
  const picture = (name: string) => readFile(join(folder, 'out', name), 'utf8')

  it('draws the same bytes for the same file', async () => {
    const all = async () => {
      assert.equal((await plot(file)).code, 0)
      const names = (await readdir(join(folder, 'out'))).sort()
      assert.deepEqual(names, ['bytes.svg', 'calls.svg', 'ratios.svg'])
      return Promise.all([...names.map(picture), readFile(page, 'utf8')])
    }
    assert.deepEqual(await all(), await all())
  })

  it('gives every picture a title, a description and colours for dark screens', async () => {
    await plot(file)
    for (const name of ['bytes.svg', 'calls.svg', 'ratios.svg']) {
      const svg = await picture(name)
      assert.match(svg, /<title id="title">[^<]+<\/title>/)
      assert.match(svg, /<desc id="desc">[^<]+<\/desc>/)
      assert.match(svg, /prefers-color-scheme: dark/)
      // Whatever a name holds, the picture stays well-formed.
      assert.ok(svg.includes('A &lt;fast&gt; &amp; &quot;quiet&quot; CPU'))
      assert.ok(!svg.includes('<fast>'))
      assert.ok(!svg.includes('NaN'))
    }
  })

  it('draws a row that keeps to its limit right of the line, and one that falls short left of it', async () => {
    await plot(file)
    const svg = await picture('ratios.svg')
    const line = Number(/class="limit" x1="([\d.]+)"/.exec(svg)?.[1])
    const bars = [
      ...svg.matchAll(/<rect class="(good|bad)" x="([\d.]+)" y="[\d.]+" width="([\d.]+)"/g),
    ]
    assert.deepEqual(
      bars.map(([, style]) => style),
      ['good', 'bad', 'good', 'good'],
    )
    for (const [, style, x, width] of bars) {
      const edge = style === 'good' ? Number(x) : Number(x) + Number(width)
      assert.ok(Math.abs(edge - line) < 0.11, `a bar ends at ${edge}, the line is at ${line}`)
    }
    assert.match(svg, /3 of 5 rows keep to their limit\. Short of it: load-memcpy\. Skipped: 1\./)
  })

  it('marks the limit of a time where the row puts it, and leaves out what was not measured', async () => {
    await plot(file)
    const calls = await picture('calls.svg')
    for (const label of ['bare thread hop', 'torchbed, embedded', 'node-calls-python']) {
      assert.ok(calls.includes(label), label)
    }
    assert.ok(!calls.includes('pythonia'))
    assert.equal([...calls.matchAll(/class="limit"/g)].length, 1)
    assert.ok(calls.includes('12.5 µs'))
    // 260 ms against a limit of 130 ms.
    assert.match(await picture('bytes.svg'), /class="bad"/)
  })

  it('writes every row of the file into the page, and nothing outside the markers', async () => {
    await plot(file)
    const text = await readFile(page, 'utf8')
    assert.ok(text.startsWith(`# Before\n\n${BEGIN}\n`))
    assert.ok(text.endsWith(`${END}\n\nAfter\n`))
    assert.ok(!text.includes('old'))
    const table = text.split('\n').filter((line) => line.startsWith('| `'))
    assert.deepEqual(table, [
      '| `call-hop` | what call-hop is | 1.25 (at most 1.3) | ok | embedded\\_ms 0.0125, hop\\_ms 0.01 |',
      '| `load-memcpy` | what load-memcpy is | 2.6 (at most 1.3) | **short** | load\\_ms 260, memcpy\\_ms 100 |',
      '| `ncp-call` | theirs \\| \\<b\\>ours\\</b\\> | 4 (at least 1) | ok | theirs\\_ms 0.05, torchbed\\_ms 0.0125 |',
      '| `loop-p99` | what loop-p99 is | -0.5 ms (at most 5 ms) | ok |  |',
      '| `publish` | what publish is | (at most 1.3) | skipped | this Python has no torch |',
    ])
  })

  it('says on page and pictures that the numbers of a quick run mean nothing', async () => {
    await write({ machine: { ...machine, quick: true }, seconds: 1, rows })
    await plot(file)
    assert.match(await readFile(page, 'utf8'), /These numbers mean nothing/)
    assert.match(await picture('ratios.svg'), /the numbers mean nothing/)
  })

  it('takes the markers as they were after an earlier run', async () => {
    await plot(file)
    await write({ machine, seconds: 1, rows: rows.slice(0, 1) })
    await plot(file)
    const text = await readFile(page, 'utf8')
    assert.equal(text.split('\n').filter((line) => line.startsWith('| `')).length, 1)
  })

  it('refuses a file that is not a results file, and says how to make one', async () => {
    await write({ machine, rows: [{ id: 'call-hop' }] })
    const end = await plot(file)
    assert.equal(end.code, 2)
    assert.match(end.text, /results\.json" as results of the benchmark/)
    assert.match(end.text, /npm run bench -- --json FILE/)
    assert.equal((await plot(join(folder, 'absent.json'))).code, 2)
    assert.equal((await plot()).code, 2)
    assert.match(await readFile(page, 'utf8'), /old/)
  })
})

describe('a row of the picture of ratios', () => {
  it('is as many times better than its limit as its ratio says, in either direction', () => {
    assert.equal(headroom(row('a', 0.65)), 2)
    assert.equal(headroom(row('a', 2.6)), 0.5)
    assert.equal(headroom(row('a', 10, { better: 'at least', limit: 5 })), 2)
    assert.equal(headroom(row('a', 2.5, { better: 'at least', limit: 5 })), 0.5)
    assert.equal(headroom(row('a', null)), null)
  })

  it('has its place on an axis whose ends are powers of the base', () => {
    const axis = logAxis(0.3, 30, 10, 0, 300)
    assert.deepEqual(
      axis.ticks.map((tick) => Number(tick.toPrecision(6))),
      [0.1, 1, 10, 100],
    )
    assert.ok(Math.abs(axis.place(1) - 100) < 1e-9)
    assert.equal(axis.place(1e9), 300)
    assert.equal(axis.place(0), 0)
  })
})
