/** The part `soak`: each thing of test/long/soak/items.ts repeated in a separate process, one at a time. */
import { ITEMS, lineOf, problemsOf } from '../../dist/test/long/soak/items.js'
import { runItem } from '../../dist/test/long/soak/item.js'
import { note } from '../support/progress.mjs'
import { isAsked } from './asked.mjs'

/** Share of the repetitions in a quick run, and on another Node.js than the running one. */
const CUT = 0.1

export async function run({ quick, nodes, cell: asked, times }) {
  const items = Object.keys(ITEMS).filter((item) => isAsked(item, asked))
  const runs = nodes.flatMap((node) =>
    Array.from({ length: times ?? 1 }).flatMap(() => items.map((item) => ({ node, item }))),
  )
  const measurements = []
  const failures = []
  for (const { node, item } of runs) {
    const isCut = quick || !node.isOwn
    const count = ITEMS[item].count * (isCut ? CUT : 1)
    const cut = quick ? ' --quick' : ''
    const repeat = `npm run test:long -- --only soak --nodes ${node.major} --cell ${item}${cut}`
    const fail = (what, details) =>
      failures.push({ name: `${item} on Node.js ${node.major}: ${what}`, details, repeat })
    try {
      const measurement = await runItem(item, count, node.path)
      measurements.push({ node: node.major, ...measurement })
      const problems = problemsOf(measurement)
      note(
        `${problems.length === 0 ? 'ok  ' : 'FAIL'} Node.js ${node.major}: ${lineOf(measurement)}`,
      )
      if (problems.length > 0) fail(problems.join('; '), JSON.stringify(measurement))
    } catch (error) {
      note(`FAIL Node.js ${node.major}: ${error.message}`)
      fail('the process failed', error.message)
    }
  }
  return { cells: runs.length, failures, measurements }
}
