import { widthOf } from './width.js'

/** Columns of the bar where there is room, and where there is little. */
const LONG_BAR_COLUMNS = 20
const SHORT_BAR_COLUMNS = 8

/**
 * A bar with texts behind it: a long bar and all of them, or as much as `columns` hold. The first text is
 * there at any width, before the bar.
 */
export function progressLine(fraction: number, texts: readonly string[], columns: number): string {
  const bars = [LONG_BAR_COLUMNS, SHORT_BAR_COLUMNS].map((length) => `${bar(fraction, length)} `)
  for (let shown = texts.length; shown > 0; shown--) {
    const text = texts.slice(0, shown).join('  ')
    // A shorter bar rather than a text less; no bar at all for the first text only.
    for (const start of shown > 1 ? bars : [...bars, '']) {
      const line = start + text
      if (widthOf(line) <= columns) return line
    }
  }
  return texts[0] ?? ''
}

function bar(fraction: number, length: number): string {
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * length)
  return `${'█'.repeat(full)}${'░'.repeat(length - full)}`
}
