/** The part `exit`: every cell of the exit matrix (test/long/exit/cells.ts), two at a time. */
import process from 'node:process'
import { ALL_CELLS, cellName, STATES } from '../../dist/test/long/exit/cells.js'
import { runCell } from '../../dist/test/long/exit/cell.js'
import { atOnce } from '../support/at-once.mjs'
import { note } from '../support/progress.mjs'
import { isAsked } from './asked.mjs'

/** Processes at one time: more would take each other's time, which is measured. */
const AT_ONCE = 2

/** How often a cell is run on the running Node.js, and on each of the others. */
const TIMES = { own: 5, other: 2 }

/** How often a cell that failed is run again, alone, to learn how often it fails. */
const RATE_RUNS = 10

export async function run({ quick, nodes, cell: asked, times, delay }) {
  const withTorch = process.env.TORCHBED_WITHOUT_TORCH !== '1'
  const cells = ALL_CELLS.filter(
    (cell) => isAsked(cellName(cell), asked) && (withTorch || !STATES[cell.state].needsTorch),
  )
  const often = ({ isOwn }) => times ?? (quick ? 1 : isOwn ? TIMES.own : TIMES.other)
  const runs = nodes.flatMap((node) =>
    Array.from({ length: often(node) }).flatMap(() => cells.map((cell) => ({ node, cell }))),
  )
  const failed = new Map()
  let done = 0
  await atOnce(AT_ONCE, runs, async ({ node, cell }) => {
    const result = await runCell(cell, { node: node.path, delayMs: delay ?? undefined })
    const title = `${cellName(cell)} on Node.js ${node.major}`
    done += 1
    const isFine = result.problems.length === 0
    const took = result.leavingMs === null ? 'never left' : `${Math.round(result.leavingMs)} ms`
    note(`[${done}/${runs.length}] ${isFine ? 'ok  ' : 'FAIL'} ${title} (${took})`)
    if (isFine) return
    note(storyOf(result))
    if (!failed.has(title)) failed.set(title, { node, cell, results: [] })
    failed.get(title).results.push(result)
  })
  const failures = []
  for (const [title, { node, cell, results }] of failed) {
    const rate = quick ? '' : `; ${await rateOf(cell, node)}`
    const again = `--only exit --nodes ${node.major} --cell ${cellName(cell)}`
    failures.push({
      name: `${title}: ${results[0].problems.join('; ')} (${results.length} times${rate})`,
      details: results.map(storyOf).join('\n\n'),
      repeat: `npm run test:long -- ${again} --times 1 --delay ${results[0].delayMs}`,
    })
  }
  return { cells: runs.length, failures }
}

function storyOf({ problems, delayMs, report }) {
  return [...problems, report, `delay     ${delayMs} ms`].join('\n').replace(/^/gm, '    ')
}

async function rateOf(cell, node) {
  let failures = 0
  for (let i = 0; i < RATE_RUNS; i++) {
    const { problems } = await runCell(cell, { node: node.path })
    if (problems.length > 0) failures += 1
  }
  return `alone ${failures} of ${RATE_RUNS}`
}
