/** What `npm run bench` can be asked for. */

import { parseArgs } from 'node:util'
import type { Group, RowSpec } from './row.js'

export interface Request {
  readonly kind: 'run' | 'list' | 'help'
  /** Ids of the rows to measure. */
  readonly only: ReadonlySet<string>
  readonly quick: boolean
  readonly json: string | undefined
}

/** An argument that makes no sense; the message names the remedy. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function readCommandLine(args: readonly string[], groups: readonly Group[]): Request {
  const values = parse(args)
  const kind = values.help ? 'help' : values.list ? 'list' : 'run'
  const known = groups.flatMap(({ rows }) => rows.map(({ id }) => id))
  const only = values.only?.split(',').map((name) => name.trim()) ?? known
  const chosen = only.flatMap((name) => {
    const group = groups.find((each) => each.name === name)
    return group?.rows.map(({ id }) => id) ?? [name]
  })
  const unknown = chosen.filter((id) => !known.includes(id))
  if (unknown.length > 0) {
    throw new UsageError(
      `There is no row or group ${unknown.map((id) => JSON.stringify(id)).join(', ')}.\n` +
        `Rows: ${known.join(', ')}\nGroups: ${groups.map(({ name }) => name).join(', ')}`,
    )
  }
  return { kind, only: new Set(chosen), quick: values.quick, json: values.json }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values
  } catch (error) {
    throw new UsageError(
      `${(error as Error).message}\nnpm run bench -- --help explains the options`,
    )
  }
}

export const HELP = `Measure torchbed on this machine.

  npm run bench                                     all rows; some minutes
  npm run bench -- --quick                          see that it runs; its numbers mean nothing
  npm run bench -- --only call-hop,loop             some rows or groups
  npm run bench -- --json results.json              the results as JSON too

Options
  --only NAME,…   ids of rows, or names of groups (--list shows both)
  --quick         small sizes and few rounds
  --json FILE     write {"machine", "seconds", "rows"}; bench/row.ts explains the fields
  --list          what each row measures, and its limit
  --help, -h      this text

A row is a ratio of two medians. What is compared runs in turns, round by round, so that whatever
disturbs the machine disturbs both. A line of the result reads

  ok    call-subprocess  0.127  at most 0.75  no-op call, embedded / subprocess  [embedded_ms …]

"ok" keeps to the limit, "short" does not, "skip" could not be measured and says why. Progress and
errors go to stderr. The exit code is 1 when a row failed to run; a short row is a result, not a
failure. Leave the machine alone meanwhile, and mind that another machine has other numbers.
`

/** One line for each row that is asked for, below the names of their groups. */
export function listText(groups: readonly Group[], only: ReadonlySet<string>): string {
  const width = Math.max(...[...only].map((id) => id.length))
  const line = (spec: RowSpec) => `  ${spec.id.padEnd(width)}  ${limitText(spec)}  ${spec.title}`
  return groups
    .map(({ name, rows }) => ({ name, rows: rows.filter(({ id }) => only.has(id)) }))
    .filter(({ rows }) => rows.length > 0)
    .map(({ name, rows }) => [name, ...rows.map(line)].join('\n'))
    .join('\n')
}

export function limitText({ better, limit, unit }: RowSpec): string {
  return `${better} ${limit}${unit === undefined ? '' : ` ${unit}`}`.padEnd(13)
}
