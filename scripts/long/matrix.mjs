/** The part `matrix`: every cell of `npm run matrix`, on the Node.js versions that are asked for. */
import { runMatrix } from '../matrix/run.mjs'
import { failuresOf, textTable } from '../matrix/table.mjs'
import { note } from '../support/progress.mjs'

export async function run({ quick, nodes, cell, times }) {
  const majors = nodes.map(({ major }) => major)
  const failures = []
  let cells = 0
  for (let i = 0; i < (quick ? 1 : (times ?? 1)); i += 1) {
    const only = cell === null ? null : [cell]
    const result = await runMatrix({ nodes: majors, pythons: null, only })
    if (result.cells.length > 0) note(textTable(result))
    cells += result.cells.length
    for (const { name, problems, output, repeat } of failuresOf(result)) {
      const details = [...problems, output].join('\n')
      failures.push({ name: `${name}: ${problems.join('; ')}`, details, repeat })
    }
  }
  return { cells, failures }
}
