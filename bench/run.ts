/**
 * `npm run bench -- [--only ID,…] [--quick] [--json FILE]`
 *
 * Every row is a ratio of medians of interleaved runs. Numbers of `--quick` mean nothing.
 */

import { writeFile } from 'node:fs/promises'
import { arch, cpus, platform, release, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { findPython } from '../lib/index.js'
import { artifacts } from './rows/artifacts.js'
import { calls } from './rows/calls.js'
import type { Row } from './row.js'

const groups = [calls, artifacts]

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    quick: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
})
const known = groups.flatMap(({ ids }) => ids)
const only = values.only?.split(',') ?? known
const unknown = only.filter((id) => !known.includes(id))
if (unknown.length > 0) {
  console.error(`No such row: ${unknown.join(', ')}. Rows: ${known.join(', ')}`)
  process.exit(2)
}

const python = await findPython()
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  memory_gib: Math.round(totalmem() / 2 ** 30),
  system: `${platform()} ${release()} ${arch()}`,
  node: process.versions.node,
  python: python.version,
  quick: values.quick,
}
console.log(Object.values(machine).join(' · '))

const rows: Row[] = []
for (const group of groups) {
  if (!group.ids.some((id) => only.includes(id))) continue
  for await (const result of group.run({ quick: values.quick })) {
    if (!only.includes(result.id)) continue
    rows.push(result)
    const medians = Object.entries(result.medians)
      .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
      .join('  ')
    console.log(
      `${result.ok ? 'ok   ' : 'short'} ${result.id.padEnd(20)} ${result.ratio.toFixed(3).padStart(8)} ` +
        `(${result.better} ${result.limit})  ${result.title}  [${medians}]`,
    )
  }
}
if (values.json !== undefined) {
  await writeFile(values.json, `${JSON.stringify({ machine, rows }, null, 2)}\n`)
}
