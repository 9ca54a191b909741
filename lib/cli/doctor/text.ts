/** Checks for people: one line each, then what is wrong and how to repair it. */
import type { Check } from '../../doctor/check.js'
import { printable, printableLines } from '../text/printable.js'
import type { Style } from '../text/terminal.js'
import { wrap } from '../text/width.js'

/** Columns before a value: mark, blank, name, blank. */
const MARK_COLUMNS = 4
const NAME_COLUMNS = 10
const VALUE_AT = MARK_COLUMNS + 1 + NAME_COLUMNS + 1

/** Longest value that is shown whole, in UTF-16 units: a `PYTHONPATH` has many folders. */
const MAX_VALUE = 1000

const MARKS = { ok: 'ok', warning: 'warn', failure: 'FAIL' } as const

/** The line of a check; several where `columns` are few. */
export function checkLines(check: Check, columns: number, style: Style): string[] {
  const { name, status, value } = check
  const mark = MARKS[status].padEnd(MARK_COLUMNS)
  const coloured = {
    ok: style.green(mark),
    warning: style.bold(mark),
    failure: style.red(mark),
  }[status]
  const lines = wrap(printable(value, MAX_VALUE), columns - VALUE_AT)
  const [first = '', ...rest] = lines
  return [
    `${coloured} ${name.padEnd(NAME_COLUMNS)} ${first}`,
    ...rest.map((line) => `${' '.repeat(VALUE_AT)}${line}`),
  ]
}

/** Cause and remedy of every check that has them, and the last line. */
export function conclusionLines(checks: readonly Check[], columns: number, style: Style): string[] {
  const failures = checks.filter(({ status }) => status === 'failure')
  const warnings = checks.filter(({ status }) => status === 'warning')
  // One cause may be seen by two checks.
  const others = warnings.filter(
    ({ remedy }) => remedy === undefined || !failures.some((failure) => failure.remedy === remedy),
  )
  const lines = [...failures, ...others].flatMap((check) => [
    '',
    ...repairLines(check, columns, style),
  ])
  const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`
  const also = warnings.length === 0 ? '' : `, ${count(warnings.length, 'warning')}`
  const last =
    failures.length === 0
      ? style.green('torchbed works here') + also
      : style.red(`torchbed does not work here: ${count(failures.length, 'failure')}`) + also
  return [...lines, '', last]
}

function repairLines(check: Check, columns: number, style: Style): string[] {
  const { name, code, detail = '', remedy } = check
  const [first = '', ...rest] = printableLines(detail)
  const label = code === undefined ? name : `${name} (${code})`
  const lines = wrap(`${label}: ${first}`, columns)
  const details = rest.map((line) => `  ${line}`)
  const repair =
    remedy === undefined ? [] : [`  To repair it: ${style.bold(printable(remedy, MAX_VALUE))}`]
  return [...lines, ...details, ...repair]
}
