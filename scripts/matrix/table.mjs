/** What a run of the matrix found, as text and as Markdown. */
import { KINDS } from './pythons.mjs'

/** The cells that failed. */
export const failuresOf = ({ cells }) => cells.filter(({ problems }) => problems.length > 0)

export function textTable({ nodes, rows, cells }) {
  const majors = Object.keys(nodes).map(Number)
  const lines = [
    ['', ...majors.map((major) => `Node.js ${nodes[major]}`)],
    ...rows.map((row) => [row.name, ...majors.map((major) => entry(row, major, cells, seconds))]),
  ]
  const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => line[i].length)))
  return lines
    .map((line) => line.map((text, i) => text.padEnd(widths[i])).join('  '))
    .map((line) => line.trimEnd())
    .join('\n')
}

export function markdownTable(result) {
  const { date, platform, glibc, npm, torchbed, libraries, nodes, rows, cells, skipped } = result
  const majors = Object.keys(nodes).map(Number)
  const line = (texts) => `| ${texts.join(' | ')} |`
  const libc = glibc === null ? '' : `, glibc ${glibc}`
  return [
    line(['Python', ...majors.map((major) => `Node.js ${nodes[major]}`)]),
    line(['---', ...majors.map(() => '---')]),
    ...rows.map((row) =>
      line([title(row), ...majors.map((major) => entry(row, major, cells, ok))]),
    ),
    '',
    `torchbed ${torchbed} on ${platform}${libc}, npm ${npm}, libraries of \`${libraries}\`, ${date}: \`npm run matrix\`.`,
    ...skipped.map((text) => `Not on that machine: ${text}.`),
  ].join('\n')
}

function title({ kind, origin, python }) {
  return `${origin} ${python}, ${KINDS[kind]}`
}

function entry(row, major, cells, said) {
  const cell = cells.find((one) => one.row === row.name && one.major === major)
  if (cell === undefined) return '-'
  const ran = row.torch === null ? 'no torch' : `torch ${row.torch.split('+')[0]}`
  return cell.problems.length > 0 ? `FAILED, ${ran}` : `${said(cell)}, ${ran}`
}

const seconds = (cell) => `${cell.seconds.toFixed(1)} s`

// How long a cell took says more about the machine, and what else it did, than about the package.
const ok = () => 'ok'
