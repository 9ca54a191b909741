/** Runs one cell of the aborts in a process of its own. */
import { fileURLToPath } from 'node:url'
import type { CellName, Latencies } from './cells.js'
import { measuredBy } from '../soak/item.js'

/** `data` is the folder of the digits data. Throws when the process does not end well. */
export async function runAborts(
  cell: CellName,
  windows: number,
  data: string,
  node = process.execPath,
): Promise<Latencies> {
  const script = fileURLToPath(new URL('child.js', import.meta.url))
  return (await measuredBy([node, script, cell, String(windows), data])) as Latencies
}
