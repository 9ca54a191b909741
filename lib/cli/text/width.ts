/** How much room a text takes on a terminal. */

const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60]/u
const WITHOUT_WIDTH = /[\p{M}\p{Cf}]/u

/** Columns of a text without line ends and escape sequences. */
export function widthOf(text: string): number {
  let width = 0
  for (const character of text) width += widthOfCharacter(character)
  return width
}

/** The text cut to `columns`, with `…` where something was cut off. */
export function fit(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  let width = 1
  for (const character of text) {
    width += widthOfCharacter(character)
    if (width > columns) break
    kept += character
  }
  return columns > 0 ? `${kept.trimEnd()}…` : ''
}

/** As many of the fields, from the first on, as `columns` hold, two blanks apart. The first is cut if need be. */
export function fitFields(fields: readonly string[], columns: number): string {
  let line = fit(fields[0] ?? '', columns)
  for (const field of fields.slice(1)) {
    const longer = `${line}  ${field}`
    if (widthOf(longer) > columns) break
    line = longer
  }
  return line
}

/** Lines of at most `columns`, broken between words; a longer word stays whole. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  const [first = '', ...words] = text.split(' ')
  let line = first
  for (const word of words) {
    const longer = `${line} ${word}`
    if (widthOf(longer) <= columns) {
      line = longer
      continue
    }
    lines.push(line)
    line = word
  }
  return [...lines, line]
}

function widthOfCharacter(character: string): number {
  if (WITHOUT_WIDTH.test(character)) return 0
  return WIDE.test(character) ? 2 : 1
}
