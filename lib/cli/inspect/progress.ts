import { createLogUpdate } from 'log-update'
import { byteSize } from '../text/byte-size.js'

/** How often the line is redrawn, in milliseconds. */
const REDRAW_MS = 100

/** A line on stderr that says how much is verified; nothing unless stderr is a terminal. */
export class Progress {
  readonly #terminal = process.stderr.isTTY
  // The cursor stays: Ctrl-C must leave the terminal as it was.
  readonly #draw = createLogUpdate(process.stderr, { showCursor: true })
  #total = 0
  #done = 0
  #drawnAt = 0

  start(totalBytes: number): void {
    this.#total = totalBytes
    this.#done = 0
    this.#drawnAt = performance.now()
  }

  add(bytes: number): void {
    this.#done += bytes
    if (!this.#terminal || performance.now() - this.#drawnAt < REDRAW_MS) return
    this.#drawnAt = performance.now()
    const percent = Math.floor((100 * this.#done) / Math.max(1, this.#total))
    this.#draw(`verifying ${percent} %  ${byteSize(this.#done)} of ${byteSize(this.#total)}`)
  }

  end(): void {
    if (this.#terminal) this.#draw.clear()
  }
}
