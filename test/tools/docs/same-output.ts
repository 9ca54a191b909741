/** What a document says that a program prints, against what it printed. */

/** How far a number may be off, as a share of it: another machine rounds otherwise, and is otherwise fast. */
const NUMBER_TOLERANCE = 0.2

const NUMBER = /\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?/g

/** The first line that differs, `documented <> printed`; undefined when none does. */
export function sameOutput(
  documented: string,
  printed: string,
  { shapeOnly }: { readonly shapeOnly: boolean },
): string | undefined {
  const [expected, actual] = [documented, printed].map(linesOf) as [string[], string[]]
  const length = Math.max(expected.length, actual.length)
  for (let index = 0; index < length; index++) {
    const [left, right] = [expected[index] ?? '', actual[index] ?? '']
    if (shapeOf(left) !== shapeOf(right) || (!shapeOnly && !nearNumbers(left, right))) {
      return `${left} <> ${right}`
    }
  }
  return undefined
}

/** Without the white space at their ends, which is all that an empty line has. */
function linesOf(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd())
}

/** Columns move with the digits in them. */
const shapeOf = (line: string) => line.replace(NUMBER, '#').replace(/ +/g, ' ')

function nearNumbers(left: string, right: string): boolean {
  const [expected, actual] = [left, right].map((line) =>
    (line.match(NUMBER) ?? []).map((text) => Number(text.replaceAll(',', ''))),
  ) as [number[], number[]]
  return expected.every(
    (value, index) => Math.abs(value - actual[index]!) <= NUMBER_TOLERANCE * Math.abs(value),
  )
}
