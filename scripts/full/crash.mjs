/**
 * The part `crash`: processes that write a store, or a shard cache, are killed, and what they leave is checked.
 *
 * A cell is a target and a seed: `store/123` repeats one.
 */
import { runCrash } from '../../dist/test/full/crash-run.js'
import { note } from '../support/progress.mjs'
import { isAsked } from './parts.mjs'

/** Runs of each target. */
const RUNS = { full: 200, quick: 20 }

/** At one time: each has up to two processes that write. */
const AT_ONCE = 2

const TARGETS = ['store', 'cache']

export async function run({ quick, cell: asked, times }) {
  const cells = cellsOf(asked, quick ? RUNS.quick : RUNS.full).flatMap((cell) =>
    Array.from({ length: times ?? 1 }, () => cell),
  )
  const failures = []
  const waiting = [...cells]
  let finished = 0
  let promised = 0
  const worker = async () => {
    for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
      const { target, seed } = cell
      const result = await runCrash(target, seed)
      finished += 1
      promised += result.promised
      const isFine = result.problems.length === 0
      const name = `${target}/${seed}`
      note(`[${finished}/${cells.length}] ${isFine ? 'ok  ' : 'FAIL'} ${name} (${result.story})`)
      if (isFine) continue
      const details = [...result.problems, result.story].join('\n')
      note(details)
      const repeat = `npm run test:full -- --only crash --cell ${name} --times 10`
      failures.push({ name: `${name}: ${result.problems[0].split('\n')[0]}`, details, repeat })
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
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
