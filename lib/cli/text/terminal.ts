/** What an output stream leads to, and what may be written there. */

import { styleText } from 'node:util'

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

/** Emphasis; each function returns its text unchanged where there are to be no escape sequences. */
export type Style = Readonly<Record<(typeof STYLES)[number], (text: string) => string>>

const STYLES = ['bold', 'dim', 'red', 'green'] as const

/**
 * `NO_COLOR` (any text) and `FORCE_COLOR=0` switch colours off, any other `FORCE_COLOR` switches them on;
 * else a terminal has them and a file or pipe does not. Node.js itself lets `FORCE_COLOR` win over `NO_COLOR`.
 */
export function styleOf(stream: NodeJS.WriteStream): Style {
  const { NO_COLOR, FORCE_COLOR } = process.env
  const isOff = Boolean(NO_COLOR) || FORCE_COLOR === '0' || FORCE_COLOR === 'false'
  const isOn = !isOff && (Boolean(FORCE_COLOR) || isInteractive(stream))
  const of = (style: (typeof STYLES)[number]) => (text: string) =>
    isOn ? styleText(style, text, { validateStream: false }) : text
  return Object.fromEntries(STYLES.map((style) => [style, of(style)])) as unknown as Style
}
