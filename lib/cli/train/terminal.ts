import { createLogUpdate } from 'log-update'
import {
  numericMetric,
  type TrainEvent,
  type TrainReporter,
  type TrainSummary,
  type WindowFigures,
} from './events.js'

/** How often the progress line is redrawn while a window runs, in milliseconds. */
const REDRAW_MS = 100

/** Width of the bar, in columns; left out on terminals narrower than {@link NARROW_COLUMNS}. */
const BAR_COLUMNS = 20
const NARROW_COLUMNS = 80

/** A progress line on a terminal, one line a window elsewhere. */
export class TerminalReporter implements TrainReporter {
  readonly #terminal = process.stderr.isTTY
  readonly #draw = createLogUpdate(process.stderr)
  #windows = 0
  #window = 0
  #windowBegan = performance.now()
  #training = ''
  #latest = ''
  #timer: NodeJS.Timeout | undefined

  event(event: TrainEvent): void {
    switch (event.event) {
      case 'start':
        this.#windows = event.windows
        this.#line(
          `${event.workload} on ${event.device}, Python ${event.python} in this process ` +
            `(${event.executable})`,
        )
        this.#line(
          `${event.windows} windows of ${event.batches} batches; ` +
            `idle event-loop delay p99 ${milliseconds(event.idleLoopDelayP99Ms)}`,
        )
        this.#windowBegan = performance.now()
        if (this.#terminal) {
          this.#timer = setInterval(() => this.#redraw(), REDRAW_MS)
          this.#timer.unref()
        }
        break
      case 'window':
        this.#window = event.window
        this.#training = trainingText(event)
        break
      case 'evaluation':
        this.#latest =
          `${this.#training}  held out: loss ${figure(numericMetric(event.metrics, 'loss'), 4)} ` +
          `accuracy ${figure(numericMetric(event.metrics, 'accuracy'), 4)}`
        this.#windowBegan = performance.now()
        if (this.#terminal) this.#redraw()
        else this.#line(`window ${event.window}/${this.#windows}  ${this.#latest}`)
        break
      case 'artifact':
        break
      case 'interrupted':
        this.#stopDrawing()
        this.#line(
          event.artifact === null
            ? `Stopped by ${event.signal} before the first window was complete; nothing is kept`
            : `Stopped by ${event.signal}; kept the model of window ${event.window}: ${event.artifact}`,
        )
        break
      case 'error':
        this.#stopDrawing()
        this.#line(`${event.code}: ${event.message}`)
        break
      case 'summary':
        this.#stopDrawing()
        process.stdout.write(summaryTable(event))
        break
    }
  }

  end(): void {
    this.#stopDrawing()
  }

  #redraw(): void {
    const columns = process.stderr.columns
    const elapsed = ((performance.now() - this.#windowBegan) / 1000).toFixed(1)
    const bar = columns < NARROW_COLUMNS ? '' : `${progressBar(this.#window / this.#windows)} `
    const running = this.#window < this.#windows ? `  window ${this.#window + 1}: ${elapsed} s` : ''
    const text = `${bar}${this.#window}/${this.#windows}  ${this.#latest}${running}`
    this.#draw(text.slice(0, Math.max(1, columns - 1)))
  }

  #stopDrawing(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#draw.done()
  }

  #line(text: string): void {
    process.stderr.write(`${text}\n`)
  }
}

function trainingText(event: { metrics: TrainMetrics } & WindowFigures): string {
  const rate = event.examplesPerSecond
  return (
    `loss ${figure(numericMetric(event.metrics, 'loss'), 4)} ` +
    `accuracy ${figure(numericMetric(event.metrics, 'accuracy'), 4)}  ` +
    (rate === null ? '' : `${Math.round(rate).toLocaleString('en')} examples/s  `) +
    `loop p99 ${milliseconds(event.loopDelayP99Ms)}`
  )
}

type TrainMetrics = Parameters<typeof numericMetric>[0]

function summaryTable(summary: TrainSummary): string {
  const rows: [string, string][] = [
    ['held-out accuracy', figure(summary.accuracy, 4)],
    ['held-out loss', figure(summary.loss, 4)],
    ['windows', `${summary.windows} in ${summary.seconds.toFixed(1)} s`],
    [
      'event-loop delay p99',
      `${milliseconds(summary.loopDelayP99Ms)} while training, ` +
        `${milliseconds(summary.idleLoopDelayP99Ms)} idle`,
    ],
    ['artifact', summary.artifact],
    ['report', summary.report],
    ['curve', summary.curve],
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}

function progressBar(fraction: number): string {
  const full = Math.round(fraction * BAR_COLUMNS)
  return `${'█'.repeat(full)}${'░'.repeat(BAR_COLUMNS - full)}`
}

function figure(value: number | null, digits: number): string {
  return value === null ? '—' : value.toFixed(digits)
}

function milliseconds(value: number): string {
  return `${value.toFixed(2)} ms`
}
