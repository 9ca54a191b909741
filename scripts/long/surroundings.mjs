/** The part `surroundings`: every cell of test/long/surroundings/cells.ts, one at a time. */
import process from 'node:process'
import { runCell } from '../../dist/test/long/surroundings/cell.js'
import { CELLS } from '../../dist/test/long/surroundings/cells.js'
import { note } from '../support/progress.mjs'
import { resolveEsbuild } from './esbuild.mjs'
import { isAsked } from './asked.mjs'

export async function run({ nodes, cell: asked, times }) {
  const withTorch = process.env.TORCHBED_WITHOUT_TORCH !== '1'
  const names = [...CELLS.entries()]
    .filter(([name, cell]) => isAsked(name, asked) && (withTorch || !cell.needsTorch))
    .map(([name]) => name)
  const bundles = names.some((name) => CELLS.get(name).bundle !== undefined)
  const esbuild = bundles ? await resolveEsbuild() : undefined
  const failures = []
  let cells = 0
  for (const node of nodes) {
    for (const name of Array.from({ length: times ?? 1 }).flatMap(() => names)) {
      const title = `${name} on Node.js ${node.major}`
      const result = await runCell(name, { node: node.path, esbuild })
      if (result === null) {
        note(`skip ${title}: this machine has no other Python`)
        continue
      }
      cells += 1
      const { problems, report, ms } = result
      const isFine = problems.length === 0
      note(`[${cells}] ${isFine ? 'ok  ' : 'FAIL'} ${title} (${Math.round(ms)} ms)`)
      if (isFine) continue
      const details = [...problems, report].join('\n').replace(/^/gm, '    ')
      note(details)
      const again = `--only surroundings --nodes ${node.major} --cell ${name}`
      failures.push({
        name: `${title}: ${problems.join('; ')}`,
        details,
        repeat: `npm run test:long -- ${again}`,
      })
    }
  }
  return { cells, failures }
}
