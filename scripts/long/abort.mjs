/** The part `abort`: windows of a real training that are stopped at random moments, one cell at a time. */
import process from 'node:process'
import { CELLS, lineOf, problemsOf, WINDOWS } from '../../dist/test/long/abort/cells.js'
import { withDigits } from '../../dist/test/long/abort/data.js'
import { runAborts } from '../../dist/test/long/abort/run.js'
import { note } from '../support/progress.mjs'
import { isAsked } from './asked.mjs'

/** Share of the windows in a quick run. */
const CUT = 0.1

export async function run({ quick, nodes, cell: asked, times }) {
  const withTorch = process.env.TORCHBED_WITHOUT_TORCH !== '1'
  const cells = Object.keys(CELLS).filter((cell) => withTorch && isAsked(cell, asked))
  const runs = nodes.flatMap((node) =>
    Array.from({ length: times ?? 1 }).flatMap(() => cells.map((cell) => ({ node, cell }))),
  )
  const measurements = []
  const failures = []
  if (runs.length === 0) return { cells: 0, failures, measurements }
  await withDigits(async (data) => {
    for (const { node, cell } of runs) {
      const cut = quick ? ' --quick' : ''
      const repeat = `npm run test:long -- --only abort --nodes ${node.major} --cell ${cell}${cut}`
      const fail = (what, details) =>
        failures.push({ name: `${cell} on Node.js ${node.major}: ${what}`, details, repeat })
      try {
        const latencies = await runAborts(cell, WINDOWS * (quick ? CUT : 1), data, node.path)
        measurements.push({ node: node.major, ...latencies })
        const problems = problemsOf(latencies)
        note(
          `${problems.length === 0 ? 'ok  ' : 'FAIL'} Node.js ${node.major}: ${lineOf(latencies)}`,
        )
        if (problems.length > 0) fail(problems.join('; '), JSON.stringify(latencies))
      } catch (error) {
        note(`FAIL Node.js ${node.major}: ${error.message}`)
        fail('the process failed', error.message)
      }
    }
  })
  return { cells: runs.length, failures, measurements }
}
