/** `npm run bench`: measures the rows of all groups. `--help` explains it. */

import { writeFile } from 'node:fs/promises'
import { platform } from 'node:os'
import {
  HELP,
  limitText,
  listText,
  readCommandLine,
  UsageError,
  type Request,
} from './command-line.js'
import { describeMachine, machineText, type Machine } from './machine.js'
import { others } from './others/group.js'
import { rust } from './others/rust.js'
import { CannotRun, skipped, type Group, type Need, type Results, type Row } from './row.js'
import { artifacts } from './rows/artifacts.js'
import { calls } from './rows/calls.js'
import { diloco } from './rows/diloco.js'
import { loop } from './rows/loop.js'
import { many } from './rows/many.js'
import { memory } from './rows/memory.js'
import { startUp } from './rows/start-up.js'
import { store } from './rows/store.js'
import { training } from './rows/training.js'

const groups: readonly Group[] = [
  calls,
  artifacts,
  store,
  many,
  training,
  loop,
  memory,
  startUp,
  diloco,
  rust,
  ...others,
]

const began = performance.now()
const secondsSince = (start: number) => Math.round(performance.now() - start) / 1000

// Files and children are removed when the process exits, which a signal alone does not make it do.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => process.exit(code))
}

try {
  const request = readCommandLine(process.argv.slice(2), groups)
  if (request.kind === 'help') process.stdout.write(HELP)
  else if (request.kind === 'list') console.log(listText(groups, request.only))
  else await run(request)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(error.message)
  process.exitCode = 2
}

async function run(request: Request): Promise<void> {
  const machine = await describeMachine(request.quick)
  console.log(`${machineText(machine)}\n`)
  const rows: Row[] = []
  for (const group of groups) {
    if (!group.rows.some(({ id }) => request.only.has(id))) continue
    for await (const row of measure(group, request, machine)) {
      rows.push(row)
      console.log(rowText(row))
    }
  }
  const seconds = secondsSince(began)
  console.log(`\n${sumText(rows)} in ${seconds.toFixed(0)} s`)
  if (request.json !== undefined) {
    const results: Results<Machine> = { machine, seconds, rows }
    await writeFile(request.json, `${JSON.stringify(results, null, 2)}\n`)
  }
}

/** The wanted rows of a group. What fails takes the rest of its group with it, not the run. */
async function* measure(group: Group, request: Request, machine: Machine): AsyncIterable<Row> {
  const waiting = new Map(
    group.rows.filter(({ id }) => request.only.has(id)).map((spec) => [spec.id, spec]),
  )
  for (const spec of waiting.values()) {
    const lacking = spec.needs?.map((need) => lack(need, machine)).find((why) => why !== null)
    if (lacking == null) continue
    waiting.delete(spec.id)
    yield skipped(spec, lacking)
  }
  if (waiting.size === 0) return
  let start = performance.now()
  try {
    const effort = {
      quick: request.quick,
      wants: (id: string) => waiting.has(id),
      begin: (...ids: string[]) =>
        console.error(
          `${secondsSince(began).toFixed(0).padStart(4)} s  measuring ${ids.join(', ')}`,
        ),
    }
    for await (const row of group.run(effort)) {
      if (!waiting.delete(row.id)) continue
      yield { ...row, seconds: secondsSince(start) }
      start = performance.now()
    }
    if (waiting.size > 0) throw new Error(`group ${group.name} did not measure them`)
  } catch (error) {
    if (!(error instanceof CannotRun)) {
      console.error(error)
      process.exitCode = 1
    }
    for (const spec of waiting.values()) yield skipped(spec, (error as Error).message)
  }
}

function lack(need: Need, machine: Machine): string | null {
  if (need === 'torch' && machine.torch === null) return 'this Python has no torch'
  if (need === 'linux' && platform() !== 'linux')
    return 'only Linux tells a process its peak memory'
  return null
}

function rowText(row: Row): string {
  const { id, title, ratio, ok, medians } = row
  if (ratio === null) return `skip  ${id.padEnd(22)} ${title}: ${row.skipped ?? ''}`
  const values = Object.entries(medians)
    .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
    .join('  ')
  return (
    `${ok === true ? 'ok   ' : 'short'} ${id.padEnd(22)} ${ratio.toFixed(3).padStart(7)}  ` +
    `${limitText(row)}  ${title}  [${values}]`
  )
}

function sumText(rows: readonly Row[]): string {
  const count = (ok: boolean | null) => rows.filter((row) => row.ok === ok).length
  return `${count(true)} ok, ${count(false)} short, ${count(null)} skipped`
}
