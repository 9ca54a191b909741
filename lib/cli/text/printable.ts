/** Longest id or name that is printed whole, in UTF-16 code units. */
const MAX_PRINTED_LENGTH = 160

/**
 * A foreign text that is safe on a terminal: what could move the cursor, change colours, reorder or hide text
 * is written as `\u{…}`, and what goes beyond `maxLength` UTF-16 code units is cut off.
 */
export function printable(text: string, maxLength = MAX_PRINTED_LENGTH): string {
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text
  return cut.replace(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu,
    (character) => `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`,
  )
}

/** Longest line of a message, likewise; messages quote foreign texts in short already. */
const MAX_LINE_LENGTH = 2000

/** A message as lines that are safe on a terminal. */
export function printableLines(message: string): string[] {
  return message.split('\n').map((line) => printable(line, MAX_LINE_LENGTH))
}
