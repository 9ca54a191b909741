/** Quoting text that came from outside, for messages: the one way in which torchbed does so. */

/** Longest piece of a foreign text that a message quotes, in UTF-16 code units. */
export const MAX_QUOTED_LENGTH = 80

/**
 * A text in double quotes with control characters escaped, cut when long.
 *
 * @param maxLength in UTF-16 code units
 */
export function clip(text: string, maxLength = MAX_QUOTED_LENGTH): string {
  if (text.length <= maxLength) return JSON.stringify(text)
  return `${JSON.stringify(text.slice(0, maxLength))}… (${text.length} characters)`
}
