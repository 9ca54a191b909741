import type { LineEnd } from '../../runtime/line-splitter.js'
import type { OutputEvents } from '../../runtime/output.js'
import { errorLines } from '../report-error.js'
import { byteSize } from '../text/byte-size.js'
import { definitions } from '../text/definitions.js'
import { printable } from '../text/printable.js'
import { shortPath } from '../text/short-path.js'
import { progressLine } from '../text/progress-bar.js'
import { StatusLine } from '../text/status-line.js'
import { columnsOf, styleOf } from '../text/terminal.js'
import { fitFields, wrap } from '../text/width.js'
import {
  numericMetric,
  type PeerWindow,
  type PromotedHead,
  type TrainEvent,
  type TrainReporter,
  type TrainSummary,
} from './events.js'

/** How often the status is redrawn while a window runs, in milliseconds. */
const REDRAW_MS = 100

/** On a terminal narrower than this, in columns, a window's line has its result alone. */
const NARROW_COLUMNS = 40

/**
 * For people: on stderr a line for each window, and on a terminal a status below it; at the end the results
 * as a table on stdout.
 */
export class TerminalReporter implements TrainReporter {
  readonly #status = new StatusLine(process.stderr)
  readonly #style = styleOf(process.stderr)
  #peers = 0
  #windows = 0
  /** Windows of this run that are done. */
  #done = 0
  #promoted = 0
  /** What the peers of the window that runs have trained. */
  #trained: PeerWindow[] = []
  #began = performance.now()
  #windowBegan = this.#began
  #timer: NodeJS.Timeout | undefined
  /** What the workload has printed of a line that has not ended. */
  #unfinished = ''
  #unfinishedStream: keyof OutputEvents = 'stdout'
  /** Whether what it prints next replaces that, as in a progress bar. */
  #isReplaced = false
  #redrawn = 0

  event(event: TrainEvent): void {
    switch (event.event) {
      case 'prepared':
        this.#line(`${shortPath(event.script)} made the shards in ${shortPath(event.root)}`)
        break
      case 'start':
        this.#start(event)
        break
      case 'window':
        this.#trained.push(event)
        break
      case 'promoted':
        this.#window(event)
        break
      case 'local_state_missing':
        this.#line(
          `${printable(event.peer)} continues from the canonical model alone, without its own state of window ` +
            `${event.window}: ${printable(event.message)}`,
        )
        break
      case 'interrupted':
        this.end()
        this.#line(
          event.artifact === null
            ? `Stopped by ${event.signal} before the first head was complete; nothing is kept`
            : `Stopped by ${event.signal}; kept the head of window ${event.window}: ${event.artifact}. ` +
                'Run the same command again to resume',
        )
        break
      case 'error':
        this.end()
        for (const line of errorLines(event)) this.#status.print(line)
        break
      case 'summary':
        this.end()
        if (this.#status.isShown) this.#line('')
        process.stdout.write(summaryText(event))
        break
    }
  }

  status(text: string): void {
    this.#show(() => text)
  }

  output(line: string, end: LineEnd = '\n', stream: keyof OutputEvents = 'stdout'): void {
    if (stream !== this.#unfinishedStream) this.#endLine()
    this.#unfinishedStream = stream
    const text = this.#isReplaced && line !== '' ? line : this.#unfinished + line
    this.#isReplaced = end === '\r' || (this.#isReplaced && line === '')
    this.#unfinished = text
    if (end === '\n' || end === '\r\n') this.#endLine(true)
    else this.#redrawSometimes()
  }

  end(): void {
    this.#endLine()
    clearInterval(this.#timer)
    this.#status.clear()
  }

  /** What was printed of a line stays. `isWhole`: also when that is nothing. */
  #endLine(isWhole = false): void {
    const line = this.#unfinished
    this.#unfinished = ''
    this.#isReplaced = false
    if (isWhole || line !== '') this.#status.print(line)
  }

  /** The status's row shows a progress bar of the workload while there is one. */
  #show(text: (columns: number) => string): void {
    this.#status.show((columns) =>
      this.#unfinished === '' ? text(columns) : printable(this.#unfinished),
    )
  }

  #redrawSometimes(): void {
    const now = performance.now()
    if (now - this.#redrawn < REDRAW_MS) return
    this.#redrawn = now
    this.#status.redraw()
  }

  #start(event: TrainEvent & { event: 'start' }): void {
    this.#windows = event.windows
    this.#peers = event.peers.length
    this.#line(
      `${printable(event.workload)} on ${printable(event.device)}, Python ${event.python} ` +
        `(${event.executable})`,
    )
    if (event.resumedFrom !== null) this.#line(`Resuming from ${printable(event.resumedFrom)}`)
    this.#began = this.#windowBegan = performance.now()
    this.#show((columns) => this.#progress(columns))
    if (!this.#status.isShown) return
    this.#timer = setInterval(() => this.#status.redraw(), REDRAW_MS)
    this.#timer.unref()
  }

  #window(event: PromotedHead): void {
    this.#endLine()
    const columns = columnsOf(process.stderr) - 1
    const fields = windowFields(event, {
      windows: this.#windows,
      trained: this.#trained,
      seconds: (performance.now() - this.#windowBegan) / 1000,
      isNarrow: columns < NARROW_COLUMNS,
    })
    this.#promoted = event.window
    if (event.window > 0) this.#done++
    this.#trained = []
    this.#windowBegan = performance.now()
    this.#status.print(fitFields(fields, columns))
  }

  #progress(columns: number): string {
    const total = this.#windows
    if (this.#promoted >= total) return progressLine(1, [`${this.#promoted}/${total}`], columns)
    const seconds = (performance.now() - this.#windowBegan) / 1000
    const { length } = this.#trained
    // Peers count as parts of a window, so that the bar moves while one runs.
    const fraction = (this.#promoted + length / (this.#peers + 1)) / total
    const texts = [`${this.#promoted}/${total}`, `window ${this.#promoted + 1}`]
    if (this.#peers > 1) texts.push(`${length} of ${this.#peers} peers`)
    texts.push(`${seconds.toFixed(1)} s`)
    if (this.#done > 0) {
      const mean = (this.#windowBegan - this.#began) / this.#done / 1000
      const left = Math.max(0, mean * (total - this.#promoted) - seconds)
      texts.push(`about ${duration(left)} left`)
    }
    return progressLine(fraction, texts, columns)
  }

  #line(text: string): void {
    for (const line of wrap(text, columnsOf(process.stderr))) {
      this.#status.print(this.#style.dim(line))
    }
  }
}

interface WindowContext {
  readonly windows: number
  readonly trained: readonly PeerWindow[]
  readonly seconds: number
  readonly isNarrow: boolean
}

/** What is said of a window, the most important first; what the workload does not report is left out. */
function windowFields(event: PromotedHead, context: WindowContext): string[] {
  const { windows, trained, seconds, isNarrow } = context
  const heldOut = numericMetric(event.metrics, 'loss')
  const accuracy = numericMetric(event.metrics, 'accuracy')
  const losses = trained.map(({ metrics }) => numericMetric(metrics, 'loss') ?? NaN)
  const loss = losses.reduce((sum, value) => sum + value, 0) / losses.length
  const examples = trained.reduce(
    (sum, peer) => sum + (peer.examplesPerSecond ?? 0) * peer.seconds,
    0,
  )
  const number = `${String(event.window).padStart(String(windows).length)}/${windows}`
  if (isNarrow) {
    return [number, ...field('loss', heldOut), ...field('accuracy', accuracy)]
  }
  const title = event.window === 0 ? 'untrained'.padEnd(7 + number.length) : `window ${number}`
  return [
    title,
    ...field('held-out loss', heldOut),
    ...field('accuracy', accuracy),
    ...(Number.isFinite(loss) ? field('loss', loss) : []),
    ...(event.window === 0 ? [] : [`${seconds.toFixed(1)} s`]),
    ...(examples > 0 ? [`${Math.round(examples / seconds).toLocaleString('en')} examples/s`] : []),
    ...(event.from === 'best candidate' && trained.length > 1 ? ['not merged: the best peer'] : []),
  ]
}

function field(name: string, value: number | null): string[] {
  return value === null ? [] : [`${name} ${value.toFixed(4)}`]
}

function summaryText(summary: TrainSummary): string {
  const { receipts, store } = summary
  const rows: [string, string][] = [
    ['held-out accuracy', figure(summary.accuracy)],
    ['held-out loss', figure(summary.loss)],
    ['canonical head', `${printable(summary.head)} (step ${summary.step})`],
    ['windows', `${summary.windows} in ${duration(summary.seconds)}`],
    [
      'event-loop delay p99',
      `${milliseconds(summary.loopDelayP99Ms)} while training, ` +
        `${milliseconds(summary.idleLoopDelayP99Ms)} idle`,
    ],
    ['receipts', `${receipts.count} for ${receipts.examples.toLocaleString('en')} examples`],
    ['store', `${store.path} (${byteSize(store.bytes)} in ${store.files} files)`],
    ['artifact', summary.artifact],
    ['report', summary.report],
    ['curve', summary.curve],
  ]
  return `${definitions(rows, columnsOf(process.stdout)).join('\n')}\n`
}

function figure(value: number | null): string {
  return value === null ? 'not reported' : value.toFixed(4)
}

/** `9.3 s`, `4 min 05 s`, `2 h 04 min`. */
function duration(seconds: number): string {
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  const two = (value: number) => String(value).padStart(2, '0')
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`
}

function milliseconds(value: number): string {
  return `${value.toFixed(2)} ms`
}
