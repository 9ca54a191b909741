/** One evaluated window; null where the workload reports no such number. */
export interface CurvePoint {
  readonly window: number
  readonly trainLoss: number | null
  readonly evaluationLoss: number | null
  readonly accuracy: number | null
}

interface Series {
  readonly label: string
  readonly colour: string
  readonly values: readonly (number | null)[]
}

const WIDTH = 720
const PANEL_HEIGHT = 220
const MARGIN = { left: 64, right: 150, top: 34, bottom: 38 }

/** Two panels over the windows, loss above and accuracy below, as an SVG document. */
export function lossAndAccuracyCurve(points: readonly CurvePoint[]): string {
  const windows = points.map(({ window }) => window)
  const loss: Series[] = [
    { label: 'training', colour: '#c2571a', values: points.map((point) => point.trainLoss) },
    { label: 'held out', colour: '#1f6f8b', values: points.map((point) => point.evaluationLoss) },
  ]
  const accuracy: Series[] = [
    { label: 'held out', colour: '#1f6f8b', values: points.map((point) => point.accuracy) },
  ]
  const height = 2 * PANEL_HEIGHT
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    panel('loss', windows, loss, 0),
    panel('accuracy', windows, accuracy, PANEL_HEIGHT),
    '</svg>',
    '',
  ].join('\n')
}

function panel(
  title: string,
  windows: readonly number[],
  series: readonly Series[],
  top: number,
): string {
  const finite = series.flatMap(({ values }) => values.filter(isFiniteNumber))
  if (finite.length === 0)
    return `<text x="${MARGIN.left}" y="${top + 60}">no ${title} reported</text>`
  // Not Math.min(...finite): a long run has more windows than a call takes arguments.
  const low = finite.reduce((least, value) => Math.min(least, value))
  const high = finite.reduce((most, value) => Math.max(most, value))
  const span = high - low || 1
  const bottom = top + PANEL_HEIGHT - MARGIN.bottom
  const right = WIDTH - MARGIN.right
  const x = (index: number) =>
    MARGIN.left + ((right - MARGIN.left) * index) / Math.max(1, windows.length - 1)
  const y = (value: number) => bottom - ((bottom - top - MARGIN.top) * (value - low)) / span

  const parts = [`<text x="${MARGIN.left}" y="${top + 20}" font-weight="600">${title}</text>`]
  for (const fraction of [0, 0.5, 1]) {
    const value = low + span * fraction
    parts.push(
      `<line x1="${MARGIN.left}" x2="${right}" y1="${n(y(value))}" y2="${n(y(value))}" stroke="#ddd"/>`,
      `<text x="${MARGIN.left - 8}" y="${n(y(value) + 4)}" text-anchor="end" fill="#555">${value.toPrecision(3)}</text>`,
    )
  }
  for (const index of new Set([0, windows.length - 1])) {
    parts.push(
      `<text x="${n(x(index))}" y="${bottom + 20}" text-anchor="middle" fill="#555">window ${windows[index] ?? ''}</text>`,
    )
  }
  series.forEach(({ label, colour, values }, row) => {
    const line = values
      .map((value, index) => (isFiniteNumber(value) ? `${n(x(index))},${n(y(value))}` : ''))
      .filter((point) => point !== '')
    const legend = top + MARGIN.top + 12 + row * 18
    parts.push(
      `<polyline points="${line.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      ...line.map((point) => circle(point, colour)),
      `<text x="${right + 16}" y="${legend}" fill="${colour}">${label}</text>`,
    )
  })
  return parts.join('\n')
}

function circle(point: string, colour: string): string {
  const [x, y] = point.split(',')
  return `<circle cx="${x ?? ''}" cy="${y ?? ''}" r="3" fill="${colour}"/>`
}

function isFiniteNumber(value: number | null): value is number {
  return value !== null && Number.isFinite(value)
}

function n(value: number): string {
  return value.toFixed(1)
}
