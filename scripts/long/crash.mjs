/**
 * The part `crash`: processes that write a store, or a shard cache, are killed, and what they leave is checked.
 *
 * A cell is a target and a seed: `store/123` repeats one.
 */
import { runCrash } from '../../dist/test/long/crash/run.js'
import { atOnce } from '../support/at-once.mjs'
import { note } from '../support/progress.mjs'
import { isAsked } from './asked.mjs'

/** Runs of each target, on the running Node.js and on each of the others. */
const RUNS = { own: 200, other: 20, quick: 20 }

/** At one time: each has up to two processes that write. */
const AT_ONCE = 2

const TARGETS = ['store', 'cache']

export async function run({ quick, nodes, cell: asked, times }) {
  const often = ({ isOwn }) => (quick ? RUNS.quick : isOwn ? RUNS.own : RUNS.other)
  const cells = nodes.flatMap((node) =>
    cellsOf(asked, often(node)).flatMap((cell) =>
      Array.from({ length: times ?? 1 }, () => ({ node, ...cell })),
    ),
  )
  const failures = []
  let finished = 0
  let promised = 0
  await atOnce(AT_ONCE, cells, async ({ node, target, seed }) => {
    const result = await runCrash(target, seed, node.path)
    finished += 1
    promised += result.promised
    const isFine = result.problems.length === 0
    const name = `${target}/${seed}`
    const title = `${name} on Node.js ${node.major}`
    note(`[${finished}/${cells.length}] ${isFine ? 'ok  ' : 'FAIL'} ${title} (${result.story})`)
    if (isFine) return
    const details = [...result.problems, result.story].join('\n')
    note(details)
    const again = `--only crash --nodes ${node.major} --cell ${name} --times 10`
    const repeat = `npm run test:long -- ${again}`
    failures.push({ name: `${title}: ${result.problems[0].split('\n')[0]}`, details, repeat })
  })
  if (cells.length > 0) note(`${promised} reports were made before the kills`)
  return { cells: cells.length, failures }
}

/** Other seeds in each run, so that all runs together find more than one does. */
function cellsOf(asked, runs) {
  const exact = /^(store|cache)\/(\d+)$/.exec(asked ?? '')
  if (exact !== null) return [{ target: exact[1], seed: Number(exact[2]) }]
  const first = Math.floor(Math.random() * 1_000_000)
  return TARGETS.flatMap((target) =>
    Array.from({ length: runs }, (_, i) => ({ target, seed: first + i })),
  ).filter(({ target, seed }) => isAsked(`${target}/${seed}`, asked))
}
