import { table } from './table.js'
import { widthOf } from './width.js'

/** Names with their values, side by side; where that is too wide for `columns`, each value below its name. */
export function definitions(
  rows: readonly (readonly [string, string])[],
  columns: number,
  indent = 0,
) {
  const lines = table(rows, [], indent)
  if (lines.every((line) => widthOf(line) <= columns)) return lines
  const blanks = ' '.repeat(indent)
  return rows.flatMap(([name, value]) => [`${blanks}${name}`, `${blanks}  ${value}`])
}
