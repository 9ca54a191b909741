/** Which numbers of the results each picture shows. */

import { ratioChart } from './ratio-chart.js'
import type { ResultRow, ResultsFile } from './results.js'
import { timeChart, type TimeBar } from './time-chart.js'

/** A file's name and its content. */
export type Pictures = Readonly<Record<string, string>>

/** One bar: a median of a row, if the results hold it. */
interface Source {
  readonly label: string
  readonly row: string
  readonly median: string
  readonly ours?: boolean
  /** The median of the same row that the row's limit is a multiple of. */
  readonly limitOf?: string
}

const CALLS: readonly Source[] = [
  { label: 'bare thread hop, no Python', row: 'call-hop', median: 'hop_ms' },
  {
    label: 'torchbed, embedded',
    row: 'call-hop',
    median: 'embedded_ms',
    ours: true,
    limitOf: 'hop_ms',
  },
  {
    label: 'torchbed, embedded, low latency',
    row: 'call-low-latency',
    median: 'low_ms',
    ours: true,
    limitOf: 'subprocess_ms',
  },
  {
    label: 'torchbed, worker process',
    row: 'call-subprocess',
    median: 'subprocess_ms',
    ours: true,
  },
  { label: 'node-calls-python', row: 'ncp-call', median: 'theirs_ms' },
  { label: 'pythonia', row: 'pythonia-call', median: 'theirs_ms' },
]

/** The ways that 400 MB of weights take, from the bare copy to the other bridges. */
function weights(way: 'load' | 'materialize', copy: string, file: string): readonly Source[] {
  const ours = true
  return [
    { label: copy, row: `${way}-memcpy`, median: 'memcpy_ms' },
    {
      label: 'torchbed, lent memory',
      row: `${way}-memcpy`,
      median: `${way}_ms`,
      ours,
      limitOf: 'memcpy_ms',
    },
    { label: file, row: `${way}-files`, median: 'file_ms', ours },
    { label: 'node-calls-python', row: `ncp-${way}-400`, median: 'theirs_ms' },
    { label: 'pythonia', row: `pythonia-${way}-400`, median: 'theirs_ms' },
  ]
}

const LOADS = weights('load', 'one memcpy into touched memory', 'torchbed, file and path hook')
const MATERIALIZES = weights(
  'materialize',
  'one memcpy into fresh memory',
  'torchbed, path hook and file',
)

export function pictures({ machine, rows }: ResultsFile): Pictures {
  const quick = machine.quick ? 'From a --quick run: the numbers mean nothing. ' : ''
  const where = `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, Python ${machine.python}`
  const bars = (sources: readonly Source[], perMillisecond: number) =>
    sources.flatMap((source) => timeBar(source, rows, perMillisecond))
  const notes = (what: string) => [`${quick}${what}`, where]
  return {
    'ratios.svg': ratioChart(rows, notes('Right of the line is better than the limit.')),
    'calls.svg': timeChart({
      title: 'A call that computes nothing, there and back',
      notes: notes('Medians; shorter is better.'),
      unit: 'µs',
      sections: [{ heading: 'no-op call', bars: bars(CALLS, 1000) }],
    }),
    'bytes.svg': timeChart({
      title: `${machine.quick ? 'Weights (reduced sizes)' : '400 MB of weights'} into a live model, and out of it`,
      notes: notes('Medians; shorter is better.'),
      unit: 'ms',
      sections: [
        { heading: 'bytes in memory to live model', bars: bars(LOADS, 1) },
        { heading: 'live model to bytes in memory', bars: bars(MATERIALIZES, 1) },
      ],
    }),
  }
}

function timeBar(source: Source, rows: readonly ResultRow[], perMillisecond: number): TimeBar[] {
  const row = rows.find(({ id }) => id === source.row)
  const ms = row?.medians[source.median]
  if (row === undefined || ms === undefined) return []
  const base = source.limitOf === undefined ? undefined : row.medians[source.limitOf]
  return [
    {
      label: source.label,
      time: ms * perMillisecond,
      ...(source.ours === true ? { ours: true } : {}),
      ...(base === undefined ? {} : { limit: row.limit * base * perMillisecond }),
    },
  ]
}
