/** A cut of the exit matrix that `npm run test:long` runs whole, and the means by which it judges. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../../lib/runtime/package-root.js'
import { withTorch } from '../../support/workloads.js'
import { runCell } from '../../long/exit/cell.js'
import {
  cellName,
  expectationOf,
  STATES,
  WAYS,
  type StateName,
  type WayName,
} from '../../long/exit/cells.js'
import { isAlive, leftBehind } from '../../long/processes.js'

const linux = process.platform === 'linux' ? describe : describe.skip

/** Every state and every way at least once; test/process/runtime/exit.test.ts has others. */
const CUT: readonly (readonly [StateName, WayName])[] = [
  ['finding', 'exit'],
  ['starting', 'exit'],
  ['starting', 'terminate'],
  ['importing', 'throw'],
  ['idle', 'reject'],
  ['training', 'handler'],
  ['training', 'close'],
  ['c-call', 'exit'],
  ['c-call-gil', 'handler'],
  ['lent', 'exit'],
  ['lent', 'terminate'],
  ['publishing', 'sigint'],
  ['publishing', 'exit'],
  ['loader', 'natural'],
  ['loader', 'sigterm'],
  ['thread', 'terminate'],
  ['worker', 'natural'],
  ['worker', 'exit'],
]

linux('a process that leaves', () => {
  for (const [state, way] of CUT) {
    const cell = { state, way }
    const run = STATES[state].needsTorch && !withTorch ? it.skip : it
    const { code, signal } = expectationOf(cell)
    const ending = signal ?? `exit code ${code ?? ''}`
    run(`${STATES[state].what}, by ${WAYS[way].what}, ends with ${ending} in time`, async () => {
      const { problems, report, delayMs } = await runCell(cell)
      assert.deepEqual(problems, [], `${report}\ndelay ${delayMs} ms`)
    })
  }

  it('is in a cut that has every state and every way', () => {
    const names = (index: 0 | 1) => new Set<string>(CUT.map((cell) => cell[index]))
    assert.deepEqual(names(0), new Set(Object.keys(STATES)))
    assert.deepEqual(names(1), new Set(Object.keys(WAYS)))
  })
})

linux('the judge of a process that leaves', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torchbed-judge-'))
  })
  after(() => rm(folder, { recursive: true }))

  it('sees a wrong code, lateness, an orphan, a core, words on stderr, and no exit functions', async () => {
    const script = join(folder, 'misbehaving.mjs')
    await writeFile(
      script,
      `import { spawn } from 'node:child_process'
       import { writeFileSync, writeSync } from 'node:fs'
       writeSync(1, 'READY\\nLEAVING\\n')
       writeSync(2, 'Exception ignored')
       writeFileSync('core.1', '')
       spawn('sleep', ['60'], { detached: true, stdio: 'ignore' }).unref()
       setTimeout(() => process.exit(3), 3100)`,
    )
    const { problems } = await runCell({ state: 'loader', way: 'exit' }, { script })
    const seen = [
      /^ended with exit code 3, not with exit code 7$/,
      /^had 0 processes of its own, not 2, when it was ready$/,
      /^took 3\d\d\d ms to leave, more than 3000$/,
      /^ran its Python exit functions 0 times, not 1: /,
      /^left process \d+ \(sleep 60\) behind$/,
      /^left the core core\.1$/,
      /^has a stderr that is not empty$/,
    ]
    assert.equal(problems.length, seen.length, problems.join('\n'))
    seen.forEach((pattern, i) => assert.match(problems[i]!, pattern))
  })

  it('sees a process that ends before it has reached its state', async () => {
    const script = join(folder, 'early.mjs')
    await writeFile(script, 'process.exit(7)')
    const { problems } = await runCell({ state: 'finding', way: 'exit' }, { script })
    assert.deepEqual(problems, ['never reached its state', 'never came to leave'])
  })

  it('finds a process whose parent is gone, and one that hides its environment', async () => {
    const variable = `TORCHBED_EXIT_CELL=${folder}`
    const parent = spawn(
      '/bin/sh',
      ['-c', `sleep 60 & (sleep 3 &) ; ${variable} sleep 62 & (${variable} sleep 63 &) ; wait`],
      { stdio: 'ignore' },
    )
    const pid = parent.pid!
    const commands = async () => {
      const found = await leftBehind(pid, variable)
      const lines = found.map((one) => readFileSync(`/proc/${one.pid}/cmdline`, 'utf8'))
      return { found, seconds: lines.map((line) => line.split('\0')[1]).sort() }
    }
    const deadline = performance.now() + 5000
    let now = await commands()
    while (now.seconds.join() !== '60,62,63' && performance.now() < deadline) now = await commands()
    // Nothing leads to the one of 3 s: its parent is gone and it has no variable.
    assert.deepEqual(now.seconds, ['60', '62', '63'])
    const ended = once(parent, 'exit')
    for (const one of now.found) process.kill(one.pid, 'SIGKILL')
    await ended
    while (performance.now() < deadline && (await isAlive(now.found[0]!))) continue
    assert.equal(await isAlive(now.found[0]!), false)
    assert.deepEqual((await commands()).seconds, [])
  })
})

describe('docs/internals/reliability.md', () => {
  const document = readFileSync(join(packageRoot(), 'docs', 'internals', 'reliability.md'), 'utf8')
  const promises = /^## The end of the process$(.*?)^## /ms.exec(document)?.[1] ?? ''
  const rows = promises
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) => line.split('|').map((text) => text.trim().replaceAll('`', '')))

  it('promises exit functions in exactly the cells in which the matrix does', () => {
    const ways = Object.keys(WAYS) as WayName[]
    const promised = rows.filter(([, name]) => Object.hasOwn(STATES, name!))
    assert.deepEqual(
      promised.map(([, name]) => name),
      Object.keys(STATES),
    )
    for (const [, state, , ...marks] of promised) {
      const cells = ways.map((way) => ({ state: state as StateName, way }))
      const expected = cells.map((cell) => (expectationOf(cell).exitFunctions ? 'yes' : '-'))
      assert.deepEqual(marks.slice(0, ways.length), expected, cellName(cells[0]!))
    }
  })

  it('has the ending of every way', () => {
    const endings = new Map(
      rows.filter(([, name]) => Object.hasOwn(WAYS, name!)).map(([, name, , end]) => [name, end]),
    )
    for (const [name, { code, signal }] of Object.entries(WAYS)) {
      assert.equal(endings.get(name), signal ?? String(code))
    }
  })
})
