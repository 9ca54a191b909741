/** Whether a cell is among those that `--cell` asks for. */
export function isAsked(name, cell) {
  if (cell === null) return true
  const pattern = cell.split('*').map((text) => text.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${pattern.join('.*')}$`).test(name)
}
