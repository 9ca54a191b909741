/**
 * JSON for programs, with a final newline. Integers are written as numbers; NaN and infinities, which JSON
 * lacks, as the texts `"NaN"`, `"Infinity"` and `"-Infinity"`. What could steer a terminal is escaped.
 *
 * @param indent blanks a level; 0 for one line. Default 2
 */
export function jsonDocument(value: unknown, indent = 2): string {
  return `${JSON.stringify(value, plainNumbers, indent).replace(STEERING, escape)}\n`
}

/** What JSON allows in a text as it is, beyond the control characters that it escapes anyway. */
const STEERING = /[\u007f-\u009f\p{Cf}\u2028\u2029]/gu

function escape(character: string): string {
  return Array.from(
    { length: character.length },
    (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('')
}

function plainNumbers(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  return value
}
