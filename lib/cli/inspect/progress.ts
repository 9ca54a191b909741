import { byteSize } from '../text/byte-size.js'
import { progressLine } from '../text/progress-bar.js'
import { StatusLine } from '../text/status-line.js'

/** How often the line is redrawn, in milliseconds. */
const REDRAW_MS = 100

/** A line on stderr that says how much is verified; nothing unless stderr is a terminal. */
export class Progress {
  /** Undefined where no progress is wanted. */
  readonly #status: StatusLine | undefined
  #total = 0
  #done = 0
  #drawnAt = 0

  constructor(quiet = false) {
    this.#status = quiet ? undefined : new StatusLine(process.stderr)
  }

  start(totalBytes: number): void {
    this.#total = totalBytes
    this.#done = 0
    this.#drawnAt = performance.now()
  }

  add(bytes: number): void {
    this.#done += bytes
    if (this.#status === undefined || performance.now() - this.#drawnAt < REDRAW_MS) return
    this.#drawnAt = performance.now()
    const fraction = this.#done / Math.max(1, this.#total)
    const texts = [
      `${Math.floor(100 * fraction)} %`,
      `${byteSize(this.#done)} of ${byteSize(this.#total)} verified`,
    ]
    this.#status.show((columns) => progressLine(fraction, texts, columns))
  }

  end(): void {
    this.#status?.clear()
  }
}
