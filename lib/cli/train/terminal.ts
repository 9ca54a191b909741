import { createLogUpdate } from 'log-update'
import { byteSize } from '../text/byte-size.js'
import { table } from '../text/table.js'
import {
  numericMetric,
  type PeerWindow,
  type PromotedHead,
  type TrainEvent,
  type TrainReporter,
  type TrainSummary,
} from './events.js'

/** How often the progress lines are redrawn while a window runs, in milliseconds. */
const REDRAW_MS = 100

/** Width of the bar, in columns; left out on terminals narrower than {@link NARROW_COLUMNS}. */
const BAR_COLUMNS = 20
const NARROW_COLUMNS = 80

/**
 * For people: on a terminal one line a peer and one for the canonical head, redrawn in place; elsewhere
 * the same lines one after the other. Progress goes to stderr, the final table to stdout.
 */
export class TerminalReporter implements TrainReporter {
  readonly #terminal = process.stderr.isTTY
  readonly #draw = createLogUpdate(process.stderr)
  readonly #peers = new Map<string, string>()
  #windows = 0
  #promoted = 0
  #canonical = ''
  #windowBegan = performance.now()
  #timer: NodeJS.Timeout | undefined

  event(event: TrainEvent): void {
    switch (event.event) {
      case 'start':
        this.#start(event)
        break
      case 'window':
        this.#peers.set(event.peer, windowText(event))
        this.#show(`${event.peer}  ${windowText(event)}`)
        break
      case 'promoted':
        this.#promoted = event.window
        this.#canonical = promotedText(event)
        this.#windowBegan = performance.now()
        this.#show(`canonical  ${this.#canonical}`)
        break
      case 'interrupted':
        this.end()
        this.#line(
          event.artifact === null
            ? `Stopped by ${event.signal} before the first head was complete; nothing is kept`
            : `Stopped by ${event.signal}; kept the head of window ${event.window}: ${event.artifact}. ` +
                'Run the same command again to go on from there',
        )
        break
      case 'error':
        this.end()
        this.#line(`${event.code}: ${event.message}`)
        break
      case 'summary':
        this.end()
        process.stdout.write(summaryTable(event))
        break
    }
  }

  end(): void {
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#timer = undefined
    this.#redraw()
    this.#draw.done()
  }

  #start(event: TrainEvent & { event: 'start' }): void {
    this.#windows = event.windows
    for (const peer of event.peers) this.#peers.set(peer, 'starts')
    this.#line(
      `${event.workload} on ${event.device}, Python ${event.python} in this process ` +
        `(${event.executable})`,
    )
    this.#line(
      `experiment ${event.experiment}: ${event.windows} windows, ${event.peers.length} ` +
        `${event.peers.length === 1 ? 'peer' : 'peers'}; ` +
        `idle event-loop delay p99 ${milliseconds(event.idleLoopDelayP99Ms)}`,
    )
    if (event.resumedFrom !== null) this.#line(`goes on from ${event.resumedFrom}`)
    if (!this.#terminal) return
    this.#timer = setInterval(() => this.#redraw(), REDRAW_MS)
    this.#timer.unref()
  }

  #show(line: string): void {
    if (this.#terminal) this.#redraw()
    else this.#line(line)
  }

  #redraw(): void {
    const columns = Math.max(20, process.stderr.columns)
    const bar = columns < NARROW_COLUMNS ? '' : `${progressBar(this.#promoted / this.#windows)} `
    const elapsed = ((performance.now() - this.#windowBegan) / 1000).toFixed(1)
    const running =
      this.#promoted < this.#windows ? `, window ${this.#promoted + 1} for ${elapsed} s` : ''
    const lines = [
      ...[...this.#peers].map(([peer, text]) => `${peer.padEnd(9)}  ${text}`),
      `canonical  ${this.#canonical}`,
      `${bar}${this.#promoted}/${this.#windows}${running}`,
    ]
    this.#draw(lines.map((line) => line.slice(0, columns - 1)).join('\n'))
  }

  #line(text: string): void {
    process.stderr.write(`${text}\n`)
  }
}

function windowText(event: PeerWindow): string {
  const rate = event.examplesPerSecond
  return [
    `window ${event.window}`,
    `loss ${figure(numericMetric(event.metrics, 'loss'), 4)}`,
    `accuracy ${figure(numericMetric(event.metrics, 'accuracy'), 4)}`,
    `${event.microshards} microshards`,
    ...(rate === null ? [] : [`${Math.round(rate).toLocaleString('en')} examples/s`]),
  ].join('  ')
}

function promotedText(event: PromotedHead): string {
  return [
    event.window === 0 ? 'genesis' : `window ${event.window}`,
    `loss ${figure(numericMetric(event.metrics, 'loss'), 4)}`,
    `accuracy ${figure(numericMetric(event.metrics, 'accuracy'), 4)}`,
    event.from === 'genesis' ? 'step 0' : `${event.from}, step ${event.step}`,
    `loop p99 ${milliseconds(event.loopDelayP99Ms)}`,
  ].join('  ')
}

function summaryTable(summary: TrainSummary): string {
  const { receipts, store } = summary
  const rows: [string, string][] = [
    ['held-out accuracy', figure(summary.accuracy, 4)],
    ['held-out loss', figure(summary.loss, 4)],
    ['canonical head', `${summary.head} (step ${summary.step})`],
    ['windows', `${summary.windows} in ${summary.seconds.toFixed(1)} s`],
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
  return `${table(rows, [], 0).join('\n')}\n`
}

function progressBar(fraction: number): string {
  const full = Math.round(Math.min(1, fraction) * BAR_COLUMNS)
  return `${'█'.repeat(full)}${'░'.repeat(BAR_COLUMNS - full)}`
}

function figure(value: number | null, digits: number): string {
  return value === null ? '—' : value.toFixed(digits)
}

function milliseconds(value: number): string {
  return `${value.toFixed(2)} ms`
}
