/** All rows in one picture: by what factor each keeps to its limit, or falls short of it. */

import { bar, logAxis, noteLines, picture, short, text, upright, WIDTH } from './svg.js'
import type { ResultRow } from './results.js'

const TOP = 92
const LINE = 20
const LEFT = 210
const RIGHT = WIDTH - 190

/** A ratio of nothing, such as a delay below the idle one, is drawn as this many times better. */
const BEST_DRAWN = 1024

/** How many times better than its limit a row is; below 1 it falls short. Null when skipped. */
export function headroom({ ratio, limit, better }: ResultRow): number | null {
  if (ratio === null) return null
  const factor = better === 'at most' ? limit / ratio : ratio / limit
  // Zero and less, where less is better.
  if (factor <= 0 || !Number.isFinite(factor)) return better === 'at most' ? BEST_DRAWN : 0
  return Math.min(factor, BEST_DRAWN)
}

/** notes: lines below the title. */
export function ratioChart(rows: readonly ResultRow[], notes: readonly string[]): string {
  const factors = rows.map(headroom).filter((factor) => factor !== null)
  const lowest = Math.max(1 / BEST_DRAWN, Math.min(0.5, ...factors))
  const axis = logAxis(lowest, Math.max(2, ...factors), 2, LEFT, RIGHT)
  const bottom = TOP + rows.length * LINE
  const one = axis.place(1)
  const parts = [
    ...noteLines(notes),
    text(one, TOP - 8, 'limit', 'quiet', 'middle'),
    text(16, TOP - 8, 'row', 'quiet'),
    text(RIGHT + 12, TOP - 8, 'ratio and limit', 'quiet'),
    ...axis.ticks.map((tick) => upright(axis.place(tick), TOP, bottom, 'grid')),
    ...everySecond(axis.ticks).map((tick) =>
      text(axis.place(tick), bottom + 16, tickText(tick), 'quiet', 'middle'),
    ),
    text((LEFT + RIGHT) / 2, bottom + 36, 'times better than the limit (log scale)', '', 'middle'),
  ]
  rows.forEach((row, index) => {
    const y = TOP + index * LINE
    const factor = headroom(row)
    parts.push(text(16, y + 14, row.id))
    if (factor === null) {
      parts.push(text(one + 8, y + 14, 'skipped', 'quiet'))
      return
    }
    const end = axis.place(factor)
    const style = row.ok === true ? 'good' : 'bad'
    // A row at its very limit is still seen.
    const width = Math.max(3, Math.abs(end - one))
    parts.push(bar(end < one ? one - width : one, y + 3, width, LINE - 6, style))
    parts.push(text(RIGHT + 12, y + 14, ratioText(row)))
  })
  parts.push(upright(one, TOP, bottom, 'limit'))
  return picture('Every row against its limit', describe(rows), bottom + 52, parts)
}

/** The ratio and what it must be: `0.12 (at most 0.75)`. */
export function ratioText({ ratio, better, limit, unit }: ResultRow): string {
  if (ratio === null) return 'skipped'
  const suffix = unit === undefined ? '' : ` ${unit}`
  return `${short(ratio)}${suffix} (${better} ${short(limit)}${suffix})`
}

function describe(rows: readonly ResultRow[]): string {
  const kept = rows.filter(({ ok }) => ok === true).length
  const missed = rows.filter(({ ok }) => ok === false).map(({ id }) => id)
  const absent = rows.filter(({ ok }) => ok === null).length
  return (
    `Horizontal bars, one per row, on a logarithmic scale. ${kept} of ${rows.length} rows keep to their ` +
    `limit. Short of it: ${missed.length === 0 ? 'none' : missed.join(', ')}. Skipped: ${absent}.`
  )
}

const tickText = (tick: number) => (tick < 1 ? `1/${Math.round(1 / tick)}` : String(tick))

/** Labels of all ticks would run into each other on a long axis; 1 is always among them. */
function everySecond(ticks: readonly number[]): number[] {
  if (ticks.length <= 12) return [...ticks]
  return ticks.filter((tick) => Math.round(Math.log2(tick)) % 2 === 0)
}
