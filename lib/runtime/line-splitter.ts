/** Splits text that comes in pieces into lines, in linear time and bounded memory. */

/** What ended a line: as printed, and `''` while nothing has. */
export type LineEnd = '\n' | '\r\n' | '\r' | ''

/** A line and its end. */
export type EndedLine = readonly [line: string, end: LineEnd]

/** Longest part of a line that is kept while its end is awaited, in UTF-16 code units. */
export const MAX_UNFINISHED_LINE = 65_536

/** Takes pieces of text, and gives lines: together they are the text, each unit once and in order. */
export class LineSplitter {
  /** Holds no end but a `'\r'` at its own end, behind which a `'\n'` may come. */
  #rest = ''
  /** Told apart, as looking at the end of a text that was put together copies it. */
  #endsInReturn = false

  /** What has come behind the last end that is certain. */
  get rest(): string {
    return this.#rest
  }

  /** The lines that the text ends. Only what is new is looked at. */
  push(text: string): EndedLine[] {
    const lines: EndedLine[] = []
    let rest = this.#rest
    let from = 0
    if (text === '') return lines
    if (this.#endsInReturn) {
      const isPair = text.startsWith('\n')
      lines.push([rest.slice(0, -1), isPair ? '\r\n' : '\r'])
      rest = ''
      if (isPair) from = 1
    }
    const ends = /\r\n|\n|\r(?!$)/g
    ends.lastIndex = from
    for (let match = ends.exec(text); match !== null; match = ends.exec(text)) {
      lines.push([rest + text.slice(from, match.index), match[0] as LineEnd])
      rest = ''
      from = ends.lastIndex
    }
    rest += text.slice(from)
    this.#endsInReturn = text.endsWith('\r')
    if (rest.length > MAX_UNFINISHED_LINE) {
      const cut = lengthToGive(rest)
      lines.push([rest.slice(0, cut), ''])
      rest = rest.slice(cut)
    }
    this.#rest = rest
    return lines
  }

  /** What is left, without waiting for its end. */
  take(): EndedLine {
    const rest = this.#rest
    const end = this.#endsInReturn ? '\r' : ''
    this.#rest = ''
    this.#endsInReturn = false
    return [rest.slice(0, rest.length - end.length), end]
  }
}

/** All but half of a character, or half of a line end. */
function lengthToGive(text: string): number {
  const last = text.charCodeAt(text.length - 1)
  const isHalf = last === 0x0d || (last >= 0xd800 && last < 0xdc00)
  return isHalf ? text.length - 1 : text.length
}
