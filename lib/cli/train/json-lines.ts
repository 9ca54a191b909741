import type { LineEnd } from '../../runtime/line-splitter.js'
import { printError } from '../report-error.js'
import { jsonDocument } from '../text/json-document.js'
import type { TrainEvent, TrainReporter } from './events.js'

/** One JSON object a line on stdout; what Python prints, and errors once more for people, on stderr. */
export class JsonLinesReporter implements TrainReporter {
  readonly #quiet: boolean

  /** @param quiet whether only the last event is written, and of the rest errors alone */
  constructor(quiet: boolean) {
    this.#quiet = quiet
  }

  event(event: TrainEvent): void {
    const isLast = ['summary', 'error', 'interrupted'].includes(event.event)
    if (isLast || !this.#quiet) process.stdout.write(jsonDocument(event, 0))
    if (event.event === 'error') printError(event)
  }

  status(): void {
    // The events say it.
  }

  output(line: string, end: LineEnd = '\n'): void {
    if (!this.#quiet) process.stderr.write(line + end)
  }

  end(): void {
    // Every line is complete.
  }
}
