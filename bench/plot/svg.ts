/** SVG as text: few elements, fixed colours for light and dark, and the same bytes for the same input. */

/** Pixels. */
export const WIDTH = 960

const STYLE = `
text { font: 12px system-ui, sans-serif; fill: #1f2328 }
.heading { font-size: 15px; font-weight: 600 }
.quiet { fill: #59636e }
.paper { fill: #ffffff }
.grid { stroke: #d1d9e0 }
.limit { stroke: #1f2328; stroke-width: 2 }
.good { fill: #1a7f37 }
.bad { fill: #cf222e }
.plain { fill: #818b98 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .quiet { fill: #9198a1 }
  .paper { fill: #0d1117 }
  .grid { stroke: #3d444d }
  .limit { stroke: #f0f6fc }
  .good { fill: #3fb950 }
  .bad { fill: #f85149 }
  .plain { fill: #656c76 }
}`

/** A picture with a title that is seen, and a description for those who do not see it. */
export function picture(
  title: string,
  description: string,
  height: number,
  parts: readonly string[],
): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
      `viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">${escaped(title)}</title>`,
    `<desc id="desc">${escaped(description)}</desc>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="paper" width="${WIDTH}" height="${height}"/>`,
    text(16, 24, title, 'heading'),
    ...parts,
    '</svg>\n',
  ].join('\n')
}

/** Lines below the title. */
export function noteLines(notes: readonly string[]): string[] {
  return notes.map((note, index) => text(16, 44 + 16 * index, note, 'quiet'))
}

export function text(
  x: number,
  y: number,
  content: string,
  style = '',
  anchor: 'start' | 'middle' | 'end' = 'start',
): string {
  const classes = style === '' ? '' : ` class="${style}"`
  const where = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text x="${round(x)}" y="${round(y)}"${classes}${where}>${escaped(content)}</text>`
}

export function bar(x: number, y: number, width: number, height: number, style: string): string {
  return (
    `<rect class="${style}" x="${round(x)}" y="${round(y)}" ` +
    `width="${round(width)}" height="${round(height)}"/>`
  )
}

export function upright(x: number, from: number, to: number, style: string): string {
  return `<line class="${style}" x1="${round(x)}" x2="${round(x)}" y1="${round(from)}" y2="${round(to)}"/>`
}

/** A logarithmic axis: a value's place in pixels, and the values that get a line. */
export interface LogAxis {
  place(value: number): number
  readonly ticks: readonly number[]
}

/** From `left` to `right` in pixels; `low` and `high` are moved out to powers of `base`. */
export function logAxis(
  low: number,
  high: number,
  base: number,
  left: number,
  right: number,
): LogAxis {
  const power = (value: number) => Math.log(value) / Math.log(base)
  // A hair inside, or rounding would add a step for a value that is a power itself.
  const first = Math.floor(power(low) + 1e-9)
  const last = Math.max(first + 1, Math.ceil(power(high) - 1e-9))
  const scale = (right - left) / (last - first)
  return {
    place: (value) => left + scale * (Math.min(last, Math.max(first, power(value))) - first),
    ticks: Array.from({ length: last - first + 1 }, (_, step) => base ** (first + step)),
  }
}

/** Three significant digits, without an exponent. */
export function short(value: number): string {
  const size = Math.abs(value)
  if (size >= 100) return Math.round(value).toLocaleString('en-GB')
  return String(Number(value.toPrecision(3)))
}

function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10
}
