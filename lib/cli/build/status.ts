import { StatusLine } from '../text/status-line.js'

/** How often the time is redrawn, in milliseconds. */
const TICK_MS = 1000

/** Shows on a terminal how far a compilation is; elsewhere, nothing. */
export class CompileStatus {
  readonly #line = new StatusLine(process.stderr)
  readonly #start = performance.now()
  #done = ''
  readonly #timer = setInterval(() => {
    this.#line.redraw()
  }, TICK_MS).unref()

  constructor() {
    this.#line.show(() => {
      const seconds = Math.round((performance.now() - this.#start) / 1000)
      return `compiling the addon ${this.#done} ${seconds} s`.replace('  ', ' ')
    })
  }

  /** Looks in CMake's output for Ninja's `[3/20]` and Make's `[ 15%]`. */
  advance(output: string): void {
    const found = [...output.matchAll(/^\[ *(\d+\/\d+|\d+%)\]/gm)].at(-1)?.[1]
    if (found === undefined) return
    this.#done = found
    this.#line.redraw()
  }

  end(): void {
    clearInterval(this.#timer)
    this.#line.clear()
  }
}
