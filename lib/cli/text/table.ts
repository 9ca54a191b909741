/** Rows of cells as aligned columns. */

import { widthOf } from './width.js'

/** How the cells of a column are set. */
export type Alignment = 'left' | 'right'

/**
 * Rows as aligned columns, two blanks apart; the last column is not padded. Put what may be long last.
 *
 * @param indent blanks before each line. Default 2
 */
export function table(
  rows: readonly (readonly string[])[],
  alignments: readonly Alignment[] = [],
  indent = 2,
): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, widthOf(cell))
    }
  }
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const blanks = ' '.repeat((widths[column] ?? 0) - widthOf(cell))
      if (alignments[column] === 'right') return blanks + cell
      return column === row.length - 1 ? cell : cell + blanks
    })
    return `${' '.repeat(indent)}${cells.join('  ')}`.trimEnd()
  })
}
