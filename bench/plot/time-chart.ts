/** Times of several ways to do one thing, as bars on a logarithmic scale. */

import { bar, logAxis, noteLines, picture, short, text, upright, WIDTH } from './svg.js'

export interface TimeBar {
  readonly label: string
  /** In the unit of the chart. */
  readonly time: number
  /** One of torchbed's own ways; drawn in another colour. */
  readonly ours?: boolean
  /** What the time must not exceed, in the unit of the chart. */
  readonly limit?: number
}

export interface TimeSection {
  readonly heading: string
  readonly bars: readonly TimeBar[]
}

export interface TimeChart {
  readonly title: string
  /** Lines below the title. */
  readonly notes: readonly string[]
  /** Such as `µs`. */
  readonly unit: string
  readonly sections: readonly TimeSection[]
}

const TOP = 84
const LINE = 24
const LEFT = 330
const RIGHT = WIDTH - 110

export function timeChart({ title, notes, unit, sections }: TimeChart): string {
  const filled = sections.filter(({ bars }) => bars.length > 0)
  const bars = filled.flatMap((section) => section.bars)
  if (bars.length === 0) {
    const nothing = 'The results hold no row for this picture'
    return picture(title, nothing, 80, [text(16, 44, nothing, 'quiet')])
  }
  const marks = bars.flatMap(({ time, limit }) => (limit === undefined ? [time] : [time, limit]))
  // Bars of a logarithmic scale begin anywhere; half the shortest leaves it a length.
  const axis = logAxis(Math.min(...marks) / 2, Math.max(...marks), 10, LEFT, RIGHT)
  const bottom = TOP + (bars.length + filled.length) * LINE
  const parts = [
    ...noteLines(notes),
    ...axis.ticks.map((tick) => upright(axis.place(tick), TOP, bottom, 'grid')),
    ...axis.ticks.map((tick) =>
      text(axis.place(tick), bottom + 16, short(tick), 'quiet', 'middle'),
    ),
    text((LEFT + RIGHT) / 2, bottom + 36, `${unit} (log scale); | is a limit`, '', 'middle'),
  ]
  let y = TOP
  for (const section of filled) {
    parts.push(text(16, y + 16, section.heading, 'quiet'))
    y += LINE
    for (const { label, time, ours = false, limit } of section.bars) {
      const end = axis.place(time)
      const missed = limit !== undefined && time > limit
      const style = missed ? 'bad' : ours ? 'good' : 'plain'
      parts.push(text(28, y + 16, label))
      parts.push(bar(LEFT, y + 4, Math.max(1, end - LEFT), LINE - 8, style))
      if (limit !== undefined) parts.push(upright(axis.place(limit), y + 1, y + LINE - 1, 'limit'))
      const beside = limit === undefined ? end : Math.max(end, axis.place(limit))
      parts.push(text(beside + 6, y + 16, `${short(time)} ${unit}`))
      y += LINE
    }
  }
  return picture(title, describe(filled, unit), bottom + 52, parts)
}

function describe(sections: readonly TimeSection[], unit: string): string {
  const texts = sections.map(({ heading, bars }) => {
    const times = bars.map(({ label, time }) => `${label} ${short(time)} ${unit}`)
    return `${heading}: ${times.join(', ')}.`
  })
  return `Horizontal bars on a logarithmic scale. ${texts.join(' ')}`
}
