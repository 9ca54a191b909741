import type { Metrics } from '../../schema/index.js'
import { printable } from '../text/printable.js'
import { table } from '../text/table.js'
import type { HeadReport, StoreReport } from './report.js'

/** Heads outside the canonical lineage that are shown, the latest. */
const MAX_OTHER_HEADS = 12

/** Columns of the line below a head, and of its indent. */
const DETAIL_COLUMNS = 62
const DETAIL_INDENT = 8

/** Characters of an artifact's id that a table shows; all of them begin with the same four. */
const SHORT_ID_LENGTH = 12

/** The lineage of the canonical head, then the other heads, each root first. */
export function headLines({ heads, canonicalHead }: StoreReport): string[] {
  const lineage = heads.filter(({ canonical }) => canonical)
  const others = heads.filter(({ canonical }) => !canonical)
  const shown = others.slice(-MAX_OTHER_HEADS)
  const lines: string[] = []
  if (lineage.length > 0) {
    lines.push('', 'lineage of the canonical head, root first', ...section(lineage, false))
  }
  if (others.length > 0) {
    const which = shown.length < others.length ? `, the last ${shown.length}` : ''
    const title = canonicalHead === null ? 'heads, root first' : 'other heads, root first'
    lines.push('', `${title}${which}`, ...section(shown, true))
  }
  return lines
}

/** Two lines a head: when and what it is; its parent, unless that is the head above, and metrics. */
function section(heads: readonly HeadReport[], withParents: boolean): string[] {
  const rows = heads.map((head) => [
    head.global_step.toString(),
    head.created_at.slice(0, 'yyyy-mm-ddThh:mm:ss'.length).replace('T', ' '),
    head.artifactKept ? `${printable(head.artifact_id.slice(0, SHORT_ID_LENGTH))}…` : 'not kept',
    printable(head.head_id),
  ])
  const title = ['step', 'created (UTC)', 'artifact', 'head']
  const [first = '', ...lines] = table([title, ...rows], ['right'])
  return [
    first,
    ...lines.flatMap((line, index) => {
      const details = detailLine(heads[index], withParents)
      return details === '' ? [line] : [line, `${' '.repeat(DETAIL_INDENT)}${details}`]
    }),
  ]
}

/** The parent and as many metrics as a line holds: loss and accuracy first, then by name. */
function detailLine(head: HeadReport | undefined, withParent: boolean): string {
  if (head === undefined) return ''
  const { metrics, parent_head_id } = head
  let line = withParent && parent_head_id !== null ? `after ${printable(parent_head_id)}` : ''
  const names = metricNames(metrics)
  for (const [index, name] of names.entries()) {
    const longer = `${line}${line === '' ? '' : ', '}${metricText(name, metrics[name])}`
    if (longer.length > DETAIL_COLUMNS) return `${line}, ${names.length - index} more`
    line = longer
  }
  return line
}

function metricNames(metrics: Metrics): string[] {
  const names = Object.keys(metrics).sort()
  const isFirst = (name: string) => name === 'loss' || name === 'accuracy'
  return [...names.filter(isFirst).reverse(), ...names.filter((name) => !isFirst(name))]
}

function metricText(name: string, value: Metrics[string] | undefined): string {
  return `${printable(name)} ${typeof value === 'number' ? figure(value) : printable(String(value))}`
}

function figure(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(5))) : String(value)
}
