/** What an output stream leads to, and what may be written there. */

/** Columns of a terminal that does not tell. */
const DEFAULT_COLUMNS = 80

/** Whether a line can be redrawn there: a terminal that moves its cursor. */
export function isInteractive(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && process.env.TERM !== 'dumb'
}

/** Width of the terminal now; Infinity where there is none, as files and pipes have room. */
export function columnsOf(stream: NodeJS.WriteStream): number {
  if (!stream.isTTY) return Infinity
  return stream.columns > 0 ? stream.columns : DEFAULT_COLUMNS
}

/** Emphasis by escape sequences; each function returns its text unchanged where there are to be none. */
export interface Style {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
}

/**
 * `NO_COLOR` (any text) and `FORCE_COLOR=0` switch colours off, any other `FORCE_COLOR` switches them on;
 * else a terminal has them and a file or pipe does not.
 */
export function styleOf(stream: NodeJS.WriteStream): Style {
  const isOn = wantsColours() ?? isInteractive(stream)
  const between = (on: number, off: number) => (text: string) =>
    isOn ? `\u001b[${on}m${text}\u001b[${off}m` : text
  return { bold: between(1, 22), dim: between(2, 22), red: between(31, 39), green: between(32, 39) }
}

function wantsColours(): boolean | undefined {
  const { NO_COLOR, FORCE_COLOR } = process.env
  if (NO_COLOR || FORCE_COLOR === '0' || FORCE_COLOR === 'false') return false
  return FORCE_COLOR ? true : undefined
}
