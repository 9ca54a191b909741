/** The part of docs/internals/benchmarks.md that comes from the results file, between two markers. */

import { ratioText } from './ratio-chart.js'
import type { ResultRow, ResultsFile } from './results.js'
import { short } from './svg.js'

export const BEGIN = '<!-- results: begin, written by npm run bench:plot -->'
export const END = '<!-- results: end -->'

/** The page with new results. Throws when it lacks the markers. */
export function withResults(page: string, results: ResultsFile): string {
  const begin = page.indexOf(BEGIN)
  const end = page.indexOf(END)
  if (begin === -1 || end < begin) {
    throw new Error(`The page needs the lines "${BEGIN}" and "${END}", in this order`)
  }
  const before = page.slice(0, begin + BEGIN.length)
  return `${before}\n\n${resultsText(results)}\n${page.slice(end)}`
}

function resultsText({ machine, seconds, rows }: ResultsFile): string {
  const count = (ok: boolean | null) => rows.filter((row) => row.ok === ok).length
  const warning = machine.quick
    ? ['**From a `--quick` run: small sizes and few rounds. These numbers mean nothing.**', '']
    : []
  return [
    ...warning,
    `${machine.date.slice(0, 10)}; ${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB; ` +
      `${machine.system}; Node ${machine.node}, Python ${machine.python}, torch ${machine.torch ?? 'absent'}; ` +
      `load average before the run ${short(machine.load_average)}.`,
    `${count(true)} rows keep to their limit, ${count(false)} fall short, ${count(null)} were skipped; ` +
      `${Math.round(seconds)} s in all.`,
    '',
    '| row | what | ratio (limit) | | medians |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map(tableRow),
    '',
  ].join('\n')
}

function tableRow(row: ResultRow): string {
  const verdict = row.ok === null ? 'skipped' : row.ok ? 'ok' : '**short**'
  const medians = Object.entries(row.medians).map(([name, value]) => `${name} ${short(value)}`)
  const last = row.skipped ?? medians.join(', ')
  const ratio = row.ratio === null ? `(${row.better} ${short(row.limit)})` : ratioText(row)
  return `| ${[`\`${row.id}\``, cell(row.title), ratio, verdict, cell(last)].join(' | ')} |`
}

/** Text that cannot end its cell, nor become markup. */
function cell(content: string): string {
  return content.replace(/\s+/g, ' ').replace(/[\\`*_<>|[\]]/g, (character) => `\\${character}`)
}
