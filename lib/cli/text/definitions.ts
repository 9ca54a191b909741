import { table } from './table.js'
import { widthOf } from './width.js'

/** Names with their values, side by side; a value that `columns` do not hold stands below its name. */
export function definitions(
  rows: readonly (readonly [string, string])[],
  columns: number,
  indent = 0,
): string[] {
  const blanks = ' '.repeat(indent)
  return table(rows, [], indent).flatMap((line, index) => {
    const row = rows[index]
    if (row === undefined || widthOf(line) <= columns) return [line]
    return [`${blanks}${row[0]}`, `${blanks}  ${row[1]}`]
  })
}
