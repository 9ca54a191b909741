import { fit, widthOf } from './width.js'
import { columnsOf, isInteractive } from './terminal.js'

/**
 * The last line of a terminal, redrawn in place while work is in progress; permanent lines go above it.
 * It takes one row at any width, also after the window has become another. Where the stream is no terminal
 * it is left out, and the lines that stay come alone. The cursor stays visible: Ctrl-C must leave the terminal
 * as it was.
 */
export class StatusLine {
  readonly #stream: NodeJS.WriteStream
  readonly #isShown: boolean
  /** Makes the text for a width, in columns; undefined while there is nothing to show. */
  #text: ((columns: number) => string) | undefined
  /** Columns that the drawn text takes. */
  #drawn = 0
  readonly #onResize = () => this.redraw()

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream
    this.#isShown = isInteractive(stream)
  }

  get isShown(): boolean {
    return this.#isShown
  }

  /** Shows a status from now on. A text that is too long for its width is cut. */
  show(text: (columns: number) => string): void {
    if (this.#text === undefined) this.#stream.on('resize', this.#onResize)
    this.#text = text
    this.redraw()
  }

  redraw(): void {
    if (!this.#isShown || this.#text === undefined) return
    // The last column stays free: in it, some terminals begin the next row.
    const columns = columnsOf(this.#stream) - 1
    const line = fit(this.#text(columns), columns)
    this.#stream.write(this.#erase() + line)
    this.#drawn = widthOf(line)
  }

  /** Writes a line that stays. */
  print(line: string): void {
    this.#stream.write(`${this.#erase()}${line}\n`)
    this.redraw()
  }

  /** Takes the status away. */
  clear(): void {
    const erase = this.#erase()
    if (erase !== '') this.#stream.write(erase)
    this.#text = undefined
    this.#stream.off('resize', this.#onResize)
  }

  /** To the status's beginning, which is rows above when the terminal has become narrower since. */
  #erase(): string {
    if (this.#drawn === 0) return ''
    const rowsAbove = Math.ceil(this.#drawn / columnsOf(this.#stream)) - 1
    this.#drawn = 0
    return `${rowsAbove > 0 ? `\u001b[${rowsAbove}A` : ''}\r\u001b[J`
  }
}
